/* from_bytes.h: networks, data and settings drawn from a string of bytes, for fuzz_core.c.
 * Depends on core/. Whatever is drawn keeps the contracts of core/, odd as it may be. */
#ifndef FROM_BYTES_H
#define FROM_BYTES_H

#include "core/evaluate/gradient.h"
#include "core/evaluate/outputs.h"
#include "core/evaluate/trace.h"
#include "core/network/optimizer.h"

/* What is left of the bytes; past the end come zeros. */
struct bytes {
    const uint8_t *at, *end;
};

/* low ... high, of which there are at most 256 */
size_t draw(struct bytes *, size_t low, size_t high);

/* SplitMix64's next number. */
uint64_t mix(uint64_t *state);

/* Exactly `size` bytes, so that a sanitizer sees one past them; never NULL. */
void *room(size_t size);

/* A network on heap memory, custom functions included; NULL for one that would take long.
 * Functions fail once `patience` of them have been called. */
struct drawn_network {
    struct bp_network net;
    atomic_bool failed;
    atomic_int patience;
    struct bp_custom_activation activation;
    struct bp_custom_loss loss;
    bp_real *parameters; /* [bp_room] */
};
struct drawn_network *draw_network(struct bytes *);
void drop_network(struct drawn_network *);

/* x and y of some rows, in memory without a byte to spare, at any alignment, strides and byte
 * order; false where the labels would be refused. */
struct drawn_data {
    struct bp_data data;
    void *memory[4];
};
bool draw_data(struct bytes *, const struct bp_network *, struct drawn_data *);
void drop_data(struct drawn_data *);

/* An optimizer whose states are zeros. */
struct bp_optimizer draw_optimizer(struct bytes *, const struct bp_network *);
void drop_optimizer(struct bp_optimizer *);

#endif
