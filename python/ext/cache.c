/* Cache: compiled code in memory and on disk, as a Python object; sessions made with it hold the engine's own reference. */
#include "ext.h"

/* A path as the system takes it, in *bytes (new reference, NULL for None). 0, or -1 with an exception. */
static int path_of(PyObject *path, PyObject **bytes)
{
    *bytes = NULL;
    return path == Py_None || PyUnicode_FSConverter(path, bytes) ? 0 : -1;
}

static int parse_options(PyObject *args, PyObject *kwargs, sabot_cache_options *options,
                         PyObject **path)
{
    static char *names[] = {"folder", "disk_bytes_max", "memory_bytes_max", NULL};
    PyObject *folder = Py_None;
    long long disk_bytes_max = 0;
    long long memory_bytes_max = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OLL:Cache", names, &folder, &disk_bytes_max,
                                     &memory_bytes_max) ||
        path_of(folder, path) < 0) {
        return -1;
    }
    *options = (sabot_cache_options){.folder = *path != NULL ? PyBytes_AS_STRING(*path) : NULL,
                                     .disk_bytes_max = disk_bytes_max,
                                     .memory_bytes_max = memory_bytes_max};
    return 0;
}

static PyObject *cache_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    sabot_cache_options options;
    PyObject *path = NULL;
    sabot_error err;
    if (parse_options(args, kwargs, &options, &path) < 0) {
        return NULL;
    }
    ext_cache *self = (ext_cache *)type->tp_alloc(type, 0);
    if (self != NULL) {
        sabot_status status;
        Py_BEGIN_ALLOW_THREADS status = sabot_cache_new(&options, &self->cache, &err);
        Py_END_ALLOW_THREADS if (status != SABOT_OK)
        {
            ext_raise(ext_state_of_type(type), &err);
            Py_CLEAR(self);
        }
    }
    Py_XDECREF(path);
    return (PyObject *)self;
}

static void cache_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    sabot_cache *cache = ((ext_cache *)object)->cache;
    Py_BEGIN_ALLOW_THREADS sabot_cache_free(cache);
    Py_END_ALLOW_THREADS type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *cache_configure(PyObject *object, PyObject *args, PyObject *kwargs)
{
    sabot_cache *cache = ((ext_cache *)object)->cache;
    sabot_cache_options options;
    PyObject *path = NULL;
    sabot_error err;
    sabot_status status;
    if (parse_options(args, kwargs, &options, &path) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS status = sabot_cache_configure(cache, &options, &err);
    Py_END_ALLOW_THREADS Py_XDECREF(path);
    if (status != SABOT_OK) {
        return ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
    }
    Py_RETURN_NONE;
}

static PyObject *cache_stats(PyObject *object, PyObject *args)
{
    sabot_cache *cache = ((ext_cache *)object)->cache;
    int usage = 0;
    char *json = NULL;
    sabot_error err;
    sabot_status status;
    if (!PyArg_ParseTuple(args, "|p:stats", &usage)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS status = sabot_cache_stats(cache, usage != 0, &json, &err);
    Py_END_ALLOW_THREADS if (status != SABOT_OK)
    {
        return ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
    }
    return ext_text(json);
}

static PyObject *cache_clear(PyObject *type, PyObject *args)
{
    PyObject *path = NULL;
    int64_t count = 0;
    sabot_error err;
    sabot_status status;
    if (!PyArg_ParseTuple(args, "O&:clear", PyUnicode_FSConverter, &path)) {
        return NULL;
    }
    const char *folder = PyBytes_AS_STRING(path);
    Py_BEGIN_ALLOW_THREADS status = sabot_cache_clear(folder, &count, &err);
    Py_END_ALLOW_THREADS Py_DECREF(path);
    if (status != SABOT_OK) {
        return ext_raise(ext_state_of_type((PyTypeObject *)type), &err);
    }
    return PyLong_FromLongLong(count);
}

static PyMethodDef cache_methods[] = {
    {"configure", (PyCFunction)(void *)cache_configure, METH_VARARGS | METH_KEYWORDS,
     "Another folder, other limits."},
    {"stats", cache_stats, METH_VARARGS, "stats(usage=False): counters, as JSON text."},
    {"clear", cache_clear, METH_VARARGS | METH_CLASS,
     "clear(folder): removes what caches keep there; how many objects that were."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot cache_slots[] = {
    {Py_tp_doc, "Cache(folder=None, disk_bytes_max=0, memory_bytes_max=0)"},
    {Py_tp_new, (void *)cache_new},
    {Py_tp_dealloc, (void *)cache_dealloc},
    {Py_tp_methods, cache_methods},
    {0, NULL},
};

static PyType_Spec cache_spec = {
    .name = "sabot._core.Cache",
    .basicsize = sizeof(ext_cache),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cache_slots,
};

int ext_add_cache(PyObject *module, ext_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &cache_spec, NULL);
    state->cache_type = (PyTypeObject *)type;
    return type != NULL ? PyModule_AddType(module, state->cache_type) : -1;
}
