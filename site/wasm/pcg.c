/* 32 bits of NumPy's PCG64: s = m s + i mod 2^128, out = (upper half xor lower half) rotated by the top six bits; two
 * numbers from each, the lower half first. O'Neill, "PCG: a family of simple fast space-efficient statistically good
 * algorithms for random number generation". Depends on session.h. */
#include "session.h"

_Static_assert(sizeof(struct bp_pcg) == 48, "engine.js keeps so many bytes");

uint32_t
bp_pcg_next(void *generator)
{
    const unsigned __int128 multiplier =
        (unsigned __int128)2549297995355413924ULL << 64 | 4865540595714422341ULL;
    struct bp_pcg *g = generator;

    if (g->waits) {
        g->waits = false;
        return g->waiting;
    }
    g->state = g->state * multiplier + g->increment;
    const uint64_t folded = (uint64_t)(g->state >> 64) ^ (uint64_t)g->state;
    const unsigned turn = (unsigned)(g->state >> 122);
    const uint64_t out = folded >> turn | folded << (-turn & 63);
    g->waiting = (uint32_t)(out >> 32);
    g->waits = true;
    return (uint32_t)out;
}

/* state and increment: two 64-bit halves each, the lower first. */
BP_EXPORT(seed) void bp_seed(struct bp_session *self, const uint64_t *state, const uint64_t *increment)
{
    self->generator = (struct bp_pcg){
        .state = (unsigned __int128)state[1] << 64 | state[0],
        .increment = (unsigned __int128)increment[1] << 64 | increment[0],
    };
}

/* Where the generator lies, sizeof(struct bp_pcg) bytes: whoever keeps them can go back to them. */
BP_EXPORT(generator) struct bp_pcg *
bp_generator(struct bp_session *self)
{
    return &self->generator;
}
