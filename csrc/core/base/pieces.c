#include "pieces.h"

#include "sizes.h"

/* A share is a half of it, a half of the rest, and so on, in whole grains, so that what is left at
 * the end, when others may come, is small. So many pieces has one of `grains`: */
static size_t
pieces_of(size_t grains)
{
    size_t pieces = 0;

    for (; grains > 0; grains /= 2)
        pieces++;
    return pieces;
}

/* Piece i of a share of `count`. */
static void
find_piece(size_t count, size_t grain, size_t i, size_t *first, size_t *last)
{
    size_t grains = bp_quotient_up(count, grain), begun = 0;

    for (size_t before = 0; before < i; before++) {
        const size_t half = (grains + 1) / 2;
        begun += half;
        grains -= half;
    }
    *first = begun * grain;
    *last = bp_smaller((begun + (grains + 1) / 2) * grain, count);
}

bool
bp_take_piece(struct bp_pieces *pieces, size_t *first, size_t *last)
{
    for (; pieces->from < pieces->threads; pieces->from++) {
        const size_t whose = (pieces->me + pieces->from) % pieces->threads;
        size_t begin, end;

        bp_share(pieces->count, pieces->threads / pieces->groups, whose / pieces->groups, &begin, &end);
        const size_t there = pieces_of(bp_quotient_up(end - begin, pieces->grain));
        const size_t i = bp_team_take(pieces->team, whose, there);
        if (i == there)
            continue;
        find_piece(end - begin, pieces->grain, i, first, last);
        *first += begin;
        *last += begin;
        pieces->group = whose % pieces->groups;
        return true;
    }
    return false;
}
