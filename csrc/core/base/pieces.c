#include "pieces.h"

#include "core/base/sizes.h"

/* of a share: a half of it, a half of the rest, and so on: what is left at the end, when others may come, is small */
enum { PIECES = 4 };

/* Piece i of a share of `count`, in whole grains; empty where there are not so many. */
static void
find_piece(size_t count, size_t grain, size_t i, size_t *first, size_t *last)
{
    size_t grains = bp_quotient_up(count, grain), begun = 0;

    for (size_t before = 0; before < i; before++) {
        const size_t half = (grains + 1) / 2;
        begun += half;
        grains -= half;
    }
    const size_t own = i < PIECES - 1 ? (grains + 1) / 2 : grains;
    *first = begun * grain;
    *last = (begun + own) * grain < count ? (begun + own) * grain : count;
}

bool
bp_take_piece(struct bp_pieces *pieces, size_t *first, size_t *last)
{
    for (; pieces->from < pieces->threads; pieces->from++) {
        const size_t whose = (pieces->me + pieces->from) % pieces->threads;
        size_t begin, end, i;

        bp_share(pieces->count, pieces->threads, whose, &begin, &end);
        while ((i = bp_team_take(pieces->team, whose, PIECES)) < PIECES) {
            find_piece(end - begin, pieces->grain, i, first, last);
            if (*first >= *last)
                break;
            *first += begin;
            *last += begin;
            return true;
        }
    }
    return false;
}
