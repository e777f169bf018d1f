/* Large blocks, as base/block.h promises them.
 *
 * Algorithm: a slot stands for a slab, and one word says all about it: which blocks are in use, which free ones have no memory behind
 * them (they are gone), the class, the phase. The word changes by compare-and-swap alone; what it says is true whatever happened between
 * reading and swapping, so a word that came back to an earlier value does no harm. Whoever has a block in use keeps the slab where it is;
 * whoever made the word BUSY owns the slab alone, and maps or unmaps it.
 *
 * A block goes to the lowest slab of its class that has a free one, then to an empty slab, which is cut anew, then to a fresh slab. That
 * packs what stays together at the low end, and finds what was freed last while few blocks are about.
 *
 * Two aids, of which the words are the truth: `open` has a bit for each slab with room; it is brought in line after each change of a word
 * (see note), and a bit that is wrong for a moment costs at most a fresh slab. A table of addresses, in two levels, tells the slab of a
 * pointer; an entry is made before the slab's first block is given out and taken back before its pages are.
 *
 * A fork copies some state of each word. A slab that another thread was making or giving back is lost to the child, and a block that one
 * was taking; both only as addresses or as memory that the parent had anyway.
 *
 * Threads: any. Words and bits are acquired and released: who takes a block sees what its last owner's free saw. Sums are relaxed: they
 * steer, and may be off by what is under way. Memory: slabs from base/pages.h; the table is static, its leaves stay until the end. */
#include "base/block.h"

#include <stdatomic.h>

#include "base/error.h"
#include "base/pages.h"

#define SLAB_BITS 21
#define SLAB_SIZE ((size_t)1 << SLAB_BITS)
#define UNIT_SIZE                                                                                  \
    ((size_t)1 << 16) /* a multiple of every usual page size, so that one block can be given back */
#define KEPT_MAX (INT64_C(64) << 20)
#define SETTLED_MIN (INT64_C(8) << 20)

enum {
    SLOT_COUNT = 1 << 16, /* 128 GiB of slabs; the heap serves what is beyond */
    LEAF_BITS = 14,
    LEAF_COUNT = 1 << LEAF_BITS,
    ROOT_COUNT =
        1 << (48 - SLAB_BITS -
              LEAF_BITS), /* 48 bits of address: what a process gets without asking for more */
    CLASS_COUNT = 7,
    PHASE_BUSY = 1, /* 0: no slab */
    PHASE_READY = 2,
};

typedef struct block_class {
    uint8_t units; /* of a block */
    uint8_t count; /* of blocks in a slab */
} block_class;

static const block_class classes[CLASS_COUNT] = {{4, 8},  {5, 6},  {6, 5}, {8, 4},
                                                 {10, 3}, {16, 2}, {32, 1}};

/* A word, unpacked. */
typedef struct slab {
    uint32_t used; /* bit: block */
    uint32_t gone; /* bit: free, and its memory was given back */
    int kind;
    int phase;
} slab;

typedef struct leaf {
    _Atomic uint32_t slot_plus_one[LEAF_COUNT];
} leaf;

static _Atomic uint32_t words[SLOT_COUNT];
static _Atomic(uint8_t *) bases[SLOT_COUNT];
static _Atomic uint64_t open[SLOT_COUNT / 64];
static _Atomic int32_t slot_end; /* slots from here on were never used */
static _Atomic(leaf *) root[ROOT_COUNT];
static _Atomic int64_t kept_max; /* 0: not asked for yet */

/* Sums over all slabs that are READY. */
static _Atomic int64_t kept;                     /* bytes of blocks that are free and not gone */
static _Atomic int32_t empty_slabs;              /* no block in use, none gone */
static _Atomic int32_t class_slabs[CLASS_COUNT]; /* how many are cut so */

/* --- words ---------------------------------------------------------------------------------------------------------- */

static uint32_t pack(slab s)
{
    return s.used | s.gone << 8 | (uint32_t)s.kind << 16 | (uint32_t)s.phase << 20;
}

static slab unpack(uint32_t word)
{
    return (slab){.used = word & 0xFF,
                  .gone = word >> 8 & 0xFF,
                  .kind = (int)(word >> 16 & 0xF),
                  .phase = (int)(word >> 20)};
}

static slab slab_get(int32_t slot)
{
    return unpack(atomic_load_explicit(&words[slot], memory_order_acquire));
}

/* False: the word was another; *seen is what it is now. */
static bool slab_swap(int32_t slot, slab *seen, slab to)
{
    uint32_t word = pack(*seen);
    if (atomic_compare_exchange_strong_explicit(&words[slot], &word, pack(to), memory_order_acq_rel,
                                                memory_order_acquire)) {
        return true;
    }
    *seen = unpack(word);
    return false;
}

static uint32_t all_of(int kind)
{
    return (1u << classes[kind].count) - 1;
}

static int64_t size_of(int kind)
{
    return (int64_t)(classes[kind].units * UNIT_SIZE);
}

/* Bytes of blocks that are free and not gone. */
static int64_t kept_of(slab s)
{
    uint32_t blocks = all_of(s.kind) & ~s.used & ~s.gone;
    return s.phase == PHASE_READY ? size_of(s.kind) * sb_popcount_u64(blocks) : 0;
}

static bool is_empty(slab s)
{
    return s.phase == PHASE_READY && (s.used | s.gone) == 0;
}

/* Brings the sums in line with a change of a word. */
static void account(slab from, slab to)
{
    atomic_fetch_add_explicit(&kept, kept_of(to) - kept_of(from), memory_order_relaxed);
    if (is_empty(from) != is_empty(to)) {
        atomic_fetch_add_explicit(&empty_slabs, is_empty(to) ? 1 : -1, memory_order_relaxed);
    }
    if (from.phase != to.phase || from.kind != to.kind) {
        atomic_fetch_sub_explicit(&class_slabs[from.kind], from.phase == PHASE_READY,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&class_slabs[to.kind], to.phase == PHASE_READY,
                                  memory_order_relaxed);
    }
}

static bool has_room(int32_t slot)
{
    slab s = slab_get(slot);
    return s.phase == PHASE_READY && s.used != all_of(s.kind);
}

/* Brings the bit of the slot in line with its word, after each change of the word. Of two threads that do this at once the one that
 * clears the bit last looks at the word again, and sees what the other had done before it set the bit. */
static void note(int32_t slot)
{
    uint64_t bit = UINT64_C(1) << (slot % 64);
    if (!has_room(slot)) {
        atomic_fetch_and_explicit(&open[slot / 64], ~bit, memory_order_acq_rel);
        if (!has_room(slot)) {
            return;
        }
    }
    atomic_fetch_or_explicit(&open[slot / 64], bit, memory_order_acq_rel);
}

/* --- addresses ------------------------------------------------------------------------------------------------------ */

/* The entry for an address; NULL where no slab ever was. */
static _Atomic uint32_t *entry_of(const void *ptr)
{
    uint64_t number = (uint64_t)(uintptr_t)ptr >> SLAB_BITS;
    if (number >> LEAF_BITS >= ROOT_COUNT) {
        return NULL;
    }
    leaf *found = atomic_load_explicit(&root[number >> LEAF_BITS], memory_order_acquire);
    return found != NULL ? &found->slot_plus_one[number % LEAF_COUNT] : NULL;
}

/* The same, made where it is missing; NULL: no memory, or an address too high. */
static _Atomic uint32_t *entry_make(const void *ptr)
{
    uint64_t number = (uint64_t)(uintptr_t)ptr >> SLAB_BITS;
    if (number >> LEAF_BITS >= ROOT_COUNT) {
        return NULL;
    }
    _Atomic(leaf *) *at = &root[number >> LEAF_BITS];
    if (atomic_load_explicit(at, memory_order_acquire) == NULL) {
        leaf *made = sb_pages_map(sizeof *made, sizeof *made, SB_PAGES_SMALL);
        leaf *expected = NULL;
        if (made != NULL && !atomic_compare_exchange_strong_explicit(
                                at, &expected, made, memory_order_acq_rel, memory_order_acquire)) {
            (void)sb_pages_unmap(made, sizeof *made); /* another thread was first */
        }
    }
    return entry_of(ptr);
}

/* -1: not in a slab. A pointer that its caller owns is in the slab for as long as the caller looks. */
static int32_t slot_of(const void *ptr)
{
    _Atomic uint32_t *entry = entry_of(ptr);
    return entry != NULL ? (int32_t)atomic_load_explicit(entry, memory_order_acquire) - 1 : -1;
}

/* --- slabs ---------------------------------------------------------------------------------------------------------- */

/* A slot that is BUSY and has no slab; -1: all have one. */
static int32_t slot_claim(void)
{
    for (int32_t slot = 0; slot < SLOT_COUNT; slot++) {
        slab none = slab_get(slot);
        if (none.phase != 0 || !slab_swap(slot, &none, (slab){.phase = PHASE_BUSY})) {
            continue;
        }
        int32_t end = atomic_load_explicit(&slot_end, memory_order_relaxed);
        while (end <= slot &&
               !atomic_compare_exchange_weak_explicit(&slot_end, &end, slot + 1,
                                                      memory_order_acq_rel, memory_order_relaxed)) {
        }
        return slot;
    }
    return -1;
}

/* The end of BUSY. */
static void slab_put(int32_t slot, slab s)
{
    account((slab){0}, s);
    atomic_store_explicit(&words[slot], pack(s), memory_order_release);
    note(slot);
}

/* The first block of a fresh slab. */
static void *slab_make(int kind)
{
    int32_t slot = slot_claim();
    if (slot < 0) {
        return NULL;
    }
    bool first = atomic_load_explicit(&class_slabs[kind], memory_order_relaxed) == 0;
    uint8_t *base = sb_pages_map(SLAB_SIZE, SLAB_SIZE, first ? SB_PAGES_SMALL : SB_PAGES_HUGE);
    _Atomic uint32_t *entry = base != NULL ? entry_make(base) : NULL;
    if (entry == NULL) {
        if (base != NULL) {
            (void)sb_pages_unmap(base, SLAB_SIZE);
        }
        slab_put(slot, (slab){0});
        return NULL;
    }
    atomic_store_explicit(&bases[slot], base, memory_order_relaxed);
    atomic_store_explicit(entry, (uint32_t)slot + 1, memory_order_release);
    slab_put(slot, (slab){.used = 1, .kind = kind, .phase = PHASE_READY});
    return base;
}

/* Unmaps the slab of a slot that is BUSY; where the system refuses, it stays as one of which all is gone. */
static void slab_give_back(int32_t slot, int kind)
{
    uint8_t *base = atomic_load_explicit(&bases[slot], memory_order_relaxed);
    _Atomic uint32_t *entry = entry_of(base);
    atomic_store_explicit(entry, 0, memory_order_release);
    if (sb_pages_unmap(base, SLAB_SIZE)) {
        slab_put(slot, (slab){0});
        return;
    }
    (void)sb_pages_discard(base, SLAB_SIZE);
    atomic_store_explicit(entry, (uint32_t)slot + 1, memory_order_release);
    slab_put(slot, (slab){.gone = all_of(kind), .kind = kind, .phase = PHASE_READY});
}

/* Gives one slab back that has no block in use, from the high end; false: there is none. */
static bool empty_give_back(void)
{
    if (atomic_load_explicit(&empty_slabs, memory_order_relaxed) <= 0) {
        return false;
    }
    slab busy = {.phase = PHASE_BUSY};
    int32_t end = atomic_load_explicit(&slot_end, memory_order_acquire);
    for (int32_t slot = end - 1; slot >= 0; slot--) {
        slab s = slab_get(slot);
        if (is_empty(s) && slab_swap(slot, &s, busy)) {
            account(s, busy);
            slab_give_back(slot, s.kind);
            return true;
        }
    }
    return false;
}

/* --- taking a block ------------------------------------------------------------------------------------------------- */

/* -1: no class. */
static int class_for(size_t size)
{
    if (size < SB_BLOCK_SIZE_MIN) {
        return -1;
    }
    for (int kind = 0; kind < CLASS_COUNT; kind++) {
        size_t block = (size_t)size_of(kind);
        if (size <= block) {
            return block - size <= block / 3 ? kind : -1;
        }
    }
    return -1;
}

/* How good a slab is for a block of the kind; 0: not at all. */
static int merit(slab s, int kind)
{
    if (s.phase != PHASE_READY) {
        return 0;
    }
    if (s.used == 0) {
        return 1;
    }
    if (s.kind != kind || s.used == all_of(kind)) {
        return 0;
    }
    return (s.used | s.gone) == all_of(kind) ? 2 : 3;
}

/* The best slab with room, the lowest of equals; -1: none. */
static int32_t slot_find(int kind)
{
    int32_t best = -1;
    int best_merit = 0;
    int32_t end = atomic_load_explicit(&slot_end, memory_order_acquire);
    for (int32_t group = 0; group * 64 < end; group++) {
        uint64_t bits = atomic_load_explicit(&open[group], memory_order_acquire);
        for (; bits != 0; bits &= bits - 1) {
            int32_t slot = group * 64 + sb_ctz_u64(bits);
            int its = merit(slab_get(slot), kind);
            if (its == 3) {
                return slot;
            }
            if (its > best_merit) {
                best = slot;
                best_merit = its;
            }
        }
    }
    return best;
}

/* NULL: others were quicker. */
static void *slot_take(int32_t slot, int kind)
{
    slab from = slab_get(slot);
    slab to;
    int index;
    do {
        if (merit(from, kind) == 0) {
            return NULL;
        }
        to = from;
        if (from.kind != kind) { /* empty: cut anew; of an empty slab all is gone or nothing */
            to.kind = kind;
            to.gone = from.gone != 0 ? all_of(kind) : 0;
        }
        uint32_t free_bits = all_of(kind) & ~to.used;
        uint32_t backed = free_bits & ~to.gone;
        index = sb_ctz_u64(backed != 0 ? backed : free_bits);
        to.used |= 1u << index;
        to.gone &= ~(1u << index);
    } while (!slab_swap(slot, &from, to));
    account(from, to);
    note(slot);
    return atomic_load_explicit(&bases[slot], memory_order_relaxed) + index * size_of(kind);
}

void *sb_block_alloc(size_t size)
{
    int kind = class_for(size);
    if (kind < 0) {
        return NULL;
    }
    for (int32_t slot = slot_find(kind); slot >= 0; slot = slot_find(kind)) {
        void *block = slot_take(slot, kind);
        if (block != NULL) {
            return block;
        }
    }
    return slab_make(kind);
}

/* --- giving a block back -------------------------------------------------------------------------------------------- */

static bool too_much_with(int64_t size)
{
    return atomic_load_explicit(&kept, memory_order_relaxed) + size > sb_block_kept_max();
}

bool sb_block_free(void *ptr)
{
    int32_t slot = slot_of(ptr);
    if (slot < 0) {
        return false;
    }
    slab from = slab_get(slot);
    int64_t size = size_of(from.kind);
    int64_t offset = (uint8_t *)ptr - atomic_load_explicit(&bases[slot], memory_order_relaxed);
    uint32_t bit = 1u << (offset / size);
    SB_ASSERT(offset % size == 0);
    /* While the block is in use nobody else can touch it. */
    bool too_much = too_much_with(size);
    bool discarded =
        too_much && from.used != bit && !empty_give_back() && sb_pages_discard(ptr, (size_t)size);
    slab to;
    do {
        SB_ASSERT(from.phase == PHASE_READY && (from.used & bit) != 0);
        to = from;
        to.used &= ~bit;
        to.gone |= discarded ? bit : 0;
        if (to.used == 0 && (too_much || to.gone != 0)) {
            to = (slab){.phase = PHASE_BUSY};
        }
    } while (!slab_swap(slot, &from, to));
    account(from, to);
    if (to.phase == PHASE_BUSY) {
        slab_give_back(slot, from.kind);
    } else {
        note(slot);
    }
    return true;
}

bool sb_block_owns(const void *ptr)
{
    return slot_of(ptr) >= 0;
}

/* --- what is kept --------------------------------------------------------------------------------------------------- */

int64_t sb_block_kept_max(void)
{
    int64_t most = atomic_load_explicit(&kept_max, memory_order_relaxed);
    if (most == 0) {
        int64_t share = (int64_t)(sb_pages_machine_size() / 64);
        most = share > 0 && share < KEPT_MAX ? share : KEPT_MAX;
        atomic_store_explicit(&kept_max, most, memory_order_relaxed);
    }
    return most;
}

void sb_block_trim(int64_t size)
{
    while (atomic_load_explicit(&kept, memory_order_relaxed) > size && empty_give_back()) {
    }
}

sb_block_stats sb_block_stats_get(void)
{
    sb_block_stats stats = {.kept_size = atomic_load_explicit(&kept, memory_order_relaxed)};
    int32_t end = atomic_load_explicit(&slot_end, memory_order_acquire);
    for (int32_t slot = 0; slot < end; slot++) {
        slab s = slab_get(slot);
        stats.live_size += size_of(s.kind) * sb_popcount_u64(s.used);
        stats.slab_count += s.phase == PHASE_READY;
    }
    return stats;
}

void sb_block_settle(void)
{
    if (atomic_load_explicit(&kept, memory_order_relaxed) <= SETTLED_MIN) {
        return;
    }
    int64_t live = sb_block_stats_get().live_size;
    sb_block_trim(live > SETTLED_MIN ? live : SETTLED_MIN);
}
