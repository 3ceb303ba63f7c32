/* places.h: a workspace for each thread. Depends on many.h. */
#ifndef BP_PLACES_H
#define BP_PLACES_H

#include "core/base/memory.h"
#include "many.h"

/* `rows` rows each, for passes of one thread; NULL where memory is short. bp_free_places in any case. */
static inline struct bp_workspace *
bp_make_places(const struct bp_many *many, size_t rows, unsigned flags, enum bp_status *status)
{
    struct bp_workspace *places = bp_allocate(many->threads, sizeof(*places));

    *status = places ? BP_OK : BP_NO_MEMORY;
    for (size_t i = 0; i < many->threads && *status == BP_OK; i++)
        *status = bp_workspace_for(&places[i], many->net, many->data, rows, 1, flags);
    return places;
}

static inline void
bp_free_places(const struct bp_many *many, struct bp_workspace *places)
{
    for (size_t i = 0; places && i < many->threads; i++)
        bp_workspace_free(&places[i]);
    bp_free(places);
}

#endif
