#include "vectors.h"

#include <math.h>

#include "core/base/memory.h"
#include "core/network/freedom.h"

bool
bp_vectors_open(struct run *run)
{
    const struct bp_training *t = run->asked;
    const bool of_ranks = t->ranks && t->ranks->average_every == 0;
    const size_t room = bp_packed_room(t->net), size = t->net->kernels->size;
    struct vectors *v = &run->vectors;

    v->parameters = bp_allocate(room, size);
    bool enough = v->parameters != NULL;
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++) {
        v->state[s] = bp_allocate(room, size);
        enough &= v->state[s] != NULL;
    }
    if (t->settings.norms || isfinite(t->optimizer->clip_norm) || of_ranks) {
        v->gradient = bp_allocate(room, size);
        enough &= v->gradient != NULL;
    }
    return enough;
}

void
bp_vectors_close(struct run *run)
{
    bp_free(run->vectors.parameters);
    for (size_t s = 0; s < BP_STATES; s++)
        bp_free(run->vectors.state[s]);
    bp_free(run->vectors.gradient);
}

/* A share of a vector, masked here and not where it comes from: what ends before its first step leaves
 * that as it was. */
static void
pack(const struct bp_network *net, const bp_real *from, bp_real *to, size_t me, size_t shares)
{
    bp_pack(net, from, to, me, shares);
    bp_mask_share(net, (struct bp_vector){to, true}, me, shares);
}

void
bp_pack_share(const struct run *run, size_t me, size_t shares)
{
    const struct bp_training *t = run->asked;

    pack(t->net, t->parameters, run->vectors.parameters, me, shares);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        pack(t->net, t->optimizer->state[s], run->vectors.state[s], me, shares);
}

void
bp_commit_share(struct run *run, size_t me, size_t shares)
{
    const struct bp_training *t = run->asked;

    bp_unpack(t->net, run->vectors.parameters, t->parameters, me, shares);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        bp_unpack(t->net, run->vectors.state[s], t->optimizer->state[s], me, shares);
    if (me == 0) {
        t->optimizer->steps += run->steps;
        run->steps = 0;
    }
}

bool
bp_finite_share(const struct run *run, size_t me, size_t shares)
{
    const struct bp_network *net = run->asked->net;
    const size_t panel = net->kernels->panel;
    size_t first, last;

    bp_share(net->packed / panel, shares, me, &first, &last);
    return net->kernels->all_finite((last - first) * panel,
                                    bp_at(net, run->vectors.parameters, first * panel));
}

size_t
bp_first_bad_layer(const struct run *run, const struct bp_workspace *ws, size_t rows)
{
    const struct bp_network *net = run->asked->net;
    const size_t bad = bp_first_not_finite(net, (struct bp_vector){run->vectors.parameters, true});

    for (size_t l = 0; l < bad; l++)
        for (size_t q = 0; q < bp_panels(net, net->layers[l].outputs); q++)
            if (!net->kernels->all_finite(rows * net->kernels->panel,
                                          bp_at(net, ws->nodes[l].a, q * ws->stride)))
                return l;
    return bad < net->count ? bad : net->count - 1;
}

#ifndef NDEBUG
bool
bp_all_pads_are_zeros(const struct run *run)
{
    bool zeros = bp_pads_are_zeros(run->asked->net, run->vectors.parameters);

    for (size_t s = 0; s < bp_state_count(run->asked->optimizer); s++)
        zeros &= bp_pads_are_zeros(run->asked->net, run->vectors.state[s]);
    return zeros;
}
#endif
