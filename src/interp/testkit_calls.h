/* Programs with functions that call themselves, for the tests of all tiers. Most rows come back, some are too deep, some overflow. */
#ifndef SB_INTERP_TESTKIT_CALLS_H
#define SB_INTERP_TESTKIT_CALLS_H

static const char *const sb_testkit_calls[] = {
    /* factorial */
    "inputs i64\noutputs i64?\nv1:i64 = in 0\nv2:i64 = const_i64 80\nv3:i64 = py_mod_i64 v1 v2\n"
    "v5:b = in_valid 0\npass v3\ncall 0\nv4:i64 = got 0\nstore 0 v4 v5\n"
    "function 0\ninputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = const_i64 1\n"
    "v3:b = py_lt_i64 v2 v1\nif v3\n  v4:i64 = py_sub_i64 v1 v2\n  pass v4\n  call 0\n"
    "  v5:i64 = got 0\n  v6:i64 = py_mul_i64 v1 v5\nelse\nend_if\nv7:i64 = merge v6 v2\n"
    "store 0 v7\n",
    /* two functions that call each other, in a loop, with arguments and results of every type */
    "inputs i64 f64 b\noutputs f64 b\nv1:i64 = in 0\nv2:f64 = in 1\nv3:b = in 2\n"
    "v4:i64 = const_i64 70\nv5:i64 = py_mod_i64 v1 v4\nv13:i64 = const_i64 0\n"
    "v14:i64 = const_i64 1\nv15:i64 = const_i64 3\n"
    "loop 3\n  v6:f64 = arg v2 v9\n  v7:b = arg v3 v10\n  v8:i64 = arg v13 v11\n"
    "  pass v5\n  pass v6\n  pass v7\n  call 0\n  v9:f64 = got 0\n  v10:b = got 1\n"
    "  v11:i64 = ix_add v8 v14\n  v12:b = py_lt_i64 v11 v15\nend_loop v12\n"
    "v16:f64 = result v6\nv17:b = result v7\nstore 0 v16\nstore 1 v17\n"
    "function 0\ninputs i64 f64 b\noutputs f64 b\nv1:i64 = in 0\nv2:f64 = in 1\nv3:b = in 2\n"
    "v4:i64 = const_i64 0\nv5:b = py_le_i64 v1 v4\n"
    "if v5\nelse\n  v6:b = not v3\n  pass v1\n  pass v6\n  pass v2\n  call 1\n"
    "  v7:b = got 0\n  v8:f64 = got 1\nend_if\nv9:f64 = merge v2 v8\nv10:b = merge v3 v7\n"
    "store 0 v9\nstore 1 v10\n"
    "function 1\ninputs i64 b f64\noutputs b f64\nv1:i64 = in 0\nv2:b = in 1\nv3:f64 = in 2\n"
    "v4:i64 = const_i64 1\nv5:i64 = py_sub_i64 v1 v4\nv6:f64 = const_f64 0x1p-1\n"
    "v7:f64 = py_add_f64 v3 v6\nv8:b = py_lt_f64 v6 v7\nv9:b = xor v8 v2\n"
    "pass v5\npass v7\npass v9\ncall 0\nv10:f64 = got 0\nv11:b = got 1\n"
    "v12:f64 = py_mul_f64 v10 v6\nstore 0 v11\nstore 1 v12\n",
    /* two calls in each other's arguments, and a constant one: Ackermann's function, cut off */
    "inputs i64 i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = const_i64 3\n"
    "v4:i64 = py_mod_i64 v1 v3\nv5:i64 = const_i64 6\nv6:i64 = py_mod_i64 v2 v5\n"
    "pass v4\npass v6\ncall 0\nv7:i64 = got 0\nv10:i64 = const_i64 1\npass v10\npass v3\ncall "
    "0\nv8:i64 = got 0\n"
    "v9:i64 = py_add_i64 v7 v8\nstore 0 v9\n"
    "function 0\ninputs i64 i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = const_i64 0\n"
    "v4:i64 = const_i64 1\nv5:b = py_eq_i64 v1 v3\n"
    "if v5\n  v6:i64 = py_add_i64 v2 v4\nelse\n  v7:i64 = py_sub_i64 v1 v4\n"
    "  v8:b = py_eq_i64 v2 v3\n"
    "  if v8\n  else\n    v9:i64 = py_sub_i64 v2 v4\n    pass v1\n    pass v9\n    call 0\n"
    "    v10:i64 = got 0\n  end_if\n  v11:i64 = merge v4 v10\n"
    "  pass v7\n  pass v11\n  call 0\n  v12:i64 = got 0\nend_if\n"
    "v13:i64 = merge v6 v12\nstore 0 v13\n",
    /* never comes back; another one has no use for what it gets */
    "inputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = const_i64 5\nv3:b = py_lt_i64 v1 v2\n"
    "if v3\n  pass v1\n  call 0\nelse\n  pass v1\n  pass v1\n  call 1\n  v5:i64 = got 0\n"
    "  v6:b = got 1\nend_if\nstore 0 v1\n"
    "function 0\ninputs i64\noutputs\nv1:i64 = in 0\npass v1\ncall 0\n"
    "function 1\ninputs i64 i64\noutputs i64 b\nv1:i64 = in 1\nv2:b = const_b 1\nstore 0 v1\n"
    "store 1 v2\n",
};

/* Calls that double at each level: only `stop` ends it. */
static const char sb_testkit_endless_calls[] =
    "inputs i64\noutputs i64\nv1:i64 = in 0\npass v1\ncall 0\nv2:i64 = got 0\nstore 0 v2\n"
    "function 0\ninputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = const_i64 1\n"
    "v3:b = py_lt_i64 v2 v1\nif v3\n  v4:i64 = py_sub_i64 v1 v2\n  pass v4\n  call 0\n"
    "  v5:i64 = got 0\n  pass v4\n  call 0\n  v6:i64 = got 0\n  v7:i64 = py_and_i64 v5 v6\n"
    "else\nend_if\nv8:i64 = merge v7 v2\nstore 0 v8\n";

#endif
