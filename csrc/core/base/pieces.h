/* pieces.h: the work between two meetings of a team, in pieces: each thread takes those of its share, whose numbers its
 * caches have, and then what is left of the others', so that a core that is slow, or taken by another program, delays
 * the team by a piece, not by a share. Between two meetings work is divided once at most. Depends on team.h. */
#ifndef BP_PIECES_H
#define BP_PIECES_H

#include <stdbool.h>

#include "team.h"

/* Things [0, count), as a thread sees them */
struct bp_pieces {
    struct bp_team *team; /* NULL: there is one piece, of the only group */
    size_t count, threads, me;
    size_t grain;  /* pieces are multiples of it, but for the last of a share */
    size_t groups; /* things are to be done once for each of these, a divisor of `threads`: thread t's share is of
                      group t % groups, and one of threads / groups shares of all things */
    size_t group;  /* of the last piece */
    size_t from;   /* whose share it takes from, counted from its own */
};

/* The next piece of several threads' work */
bool bp_take_piece(struct bp_pieces *, size_t *first, size_t *last);

/* The next piece [*first, *last) for this thread, of pieces->group; false where none is left. */
static inline bool
bp_next_piece(struct bp_pieces *pieces, size_t *first, size_t *last)
{
    if (pieces->team)
        return bp_take_piece(pieces, first, last);
    *first = 0;
    *last = pieces->count;
    pieces->count = 0;
    return *last > 0;
}

#endif
