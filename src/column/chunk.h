/* Chunks: some rows of some columns on their way through a plan, and where in the source they come from.
 *
 * A filter does not move rows at once: it sets `active`, and columns are compacted later (sb_chunk_compact), where somebody needs
 * them without gaps or when few rows are left. Rows keep the number they have in the source, so that an error can name it.
 *
 * Threads: a chunk belongs to one thread at a time. Memory: a chunk owns references on its columns and schema. */
#ifndef SB_COLUMN_CHUNK_H
#define SB_COLUMN_CHUNK_H

#include "column/array.h"

typedef struct sb_seq {
    int64_t batch; /* of the source, from 0 */
    int64_t part;  /* morsel within the batch, from 0 */
} sb_seq;

typedef struct sb_chunk sb_chunk;
struct sb_chunk {
    sb_type *schema; /* owned reference */
    sb_array **
        columns; /* owned, schema->child_count references, each `rows` long; NULL: `host` alone has the data */
    sb_owner *
        host; /* owned reference: the host's own object of just these rows and columns; NULL: none */
    int64_t rows; /* at most INT32_MAX */
    uint8_t *
        active; /* owned bitmap of the rows that count, padded to 64 bytes, zero behind `rows`; NULL: all */
    int64_t active_count; /* rows when active is NULL */
    sb_seq seq;
    int64_t
        source_row; /* of bit 0 of source_mask, else of row 0; -1: not known, such as where a batch function made these rows */
    uint8_t *
        source_mask; /* owned bitmap like `active`: rows of the source that these are; NULL: they follow source_row */
    int64_t source_span; /* bits of source_mask */
    /* Owned, of each row, -1: not known. Without source_mask: they came so with the input. With it: after sb_chunk_number_rows. */
    int64_t *source_rows;
};

/* Control messages travel in the same channel as chunks, behind the chunk they follow. */
typedef enum sb_token_kind {
    SB_TOKEN_NONE = 0,
    SB_TOKEN_ERROR, /* the rows before it are right, no row follows */
    SB_TOKEN_END    /* the source has no more rows */
} sb_token_kind;

typedef struct sb_token {
    sb_token_kind kind;
    sb_seq seq;
    int64_t row;            /* ERROR: in the source; -1: not known or not one row's fault */
    int32_t op;             /* ERROR: operator; -1: the source */
    int32_t function_index; /* ERROR: among the plan's functions; -1: none */
    sb_error error;
} sb_token;

/* A record batch: a struct array without nulls of its own. Takes *batch on success. */
sb_status sb_chunk_import(struct ArrowArray *batch, sb_type *schema, sb_release_queue *queue,
                          sb_chunk **out, sb_error *err);
/* A chunk without columns: the host keeps its data. *host is taken on success. */
sb_status sb_chunk_new_host(sb_type *schema, int64_t rows, sb_host *host, sb_release_queue *queue,
                            sb_chunk **out, sb_error *err);
/* Keeps the host's own object of what the compact chunk holds, until an operator changes it. *host is taken on success. */
sb_status sb_chunk_hold(sb_chunk *chunk, sb_host *host, sb_release_queue *queue, sb_error *err);
void *sb_chunk_host(const sb_chunk *chunk); /* borrow; NULL: there is none */
/* Gives a chunk without columns those of another (taken) of as many rows, which must have the schema. */
void sb_chunk_fill(sb_chunk *chunk, sb_chunk *data);
/* The struct array of the chunk, which must be compact and have columns. */
sb_status sb_chunk_export(const sb_chunk *chunk, struct ArrowArray *out, sb_error *err);
/* Rows [start, start+length) of a compact chunk. */
sb_status sb_chunk_slice(const sb_chunk *chunk, int64_t start, int64_t length, sb_chunk **out,
                         sb_error *err);
/* The columns of a compact chunk as a chunk of their own, whose rows' places in the source are not known. */
sb_status sb_chunk_share(const sb_chunk *chunk, sb_chunk **out, sb_error *err);
void sb_chunk_free(sb_chunk *chunk); /* NULL is fine */

/* Makes the columns of a schema, each NULL before, from those of a chunk; what it has made stays where it fails. */
typedef sb_status sb_columns_make(const void *context, const sb_chunk *chunk, sb_array **columns,
                                  sb_error *err);

/* Replaces schema (retained) and columns by what `make` gives; on failure the chunk is as it was. */
sb_status sb_chunk_replace(sb_chunk *chunk, sb_type *schema, sb_columns_make *make,
                           const void *context, sb_error *err);
/* Keeps rows [0, rows). */
sb_status sb_chunk_truncate(sb_chunk *chunk, int64_t rows, sb_error *err);
/* Keeps of the active rows those whose bit is set in mask (taken: an aligned block as `active` is described); may leave the columns
 * as they are. */
void sb_chunk_restrict(sb_chunk *chunk, uint8_t *mask);
/* Drops the rows that are not active. */
sb_status sb_chunk_compact(sb_chunk *chunk, sb_error *err);
/* Where a row is in the source, -1 if not known; steps through the mask where the rows have no numbers. */
int64_t sb_chunk_source_row(const sb_chunk *chunk, int64_t row);
/* Says where the rows are: from `row` on (-1: not known), or, when rows is not NULL (borrow), each. */
sb_status sb_chunk_set_source(sb_chunk *chunk, int64_t row, const int64_t *rows, sb_error *err);
/* Gives the rows numbers, if they do not follow one another in the source: for who asks for many. */
sb_status sb_chunk_number_rows(sb_chunk *chunk, sb_error *err);

#endif
