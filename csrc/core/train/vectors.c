#include "vectors.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/network/freedom.h"

/* The parameters as they are, in place: `kept` is where they can be taken back to. */
static bool
open_in_place(struct run *run)
{
    const struct bp_training *t = run->asked;
    struct vectors *v = &run->vectors;

    v->parameters = t->parameters;
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        v->state[s] = t->optimizer->state[s];
    v->kept = bp_allocate(bp_room(t->net), t->net->kernels->size);
    return v->kept != NULL;
}

static bool
open_packed(struct run *run)
{
    const struct bp_training *t = run->asked;
    const size_t room = bp_packed_room(t->net), size = t->net->kernels->size;
    struct vectors *v = &run->vectors;

    v->parameters = bp_allocate(room, size);
    bool enough = v->parameters != NULL;
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++) {
        v->state[s] = bp_allocate(room, size);
        enough &= v->state[s] != NULL;
    }
    return enough;
}

bool
bp_vectors_open(struct run *run)
{
    const struct bp_training *t = run->asked;
    const bool of_ranks = t->ranks && t->ranks->average_every == 0;
    bool enough = run->applied.in_place ? open_in_place(run) : open_packed(run);

    if (t->settings.norms || isfinite(t->optimizer->clip_norm) || of_ranks) {
        const size_t room = run->applied.in_place ? bp_room(t->net) : bp_packed_room(t->net);
        run->vectors.gradient = bp_allocate(room, t->net->kernels->size);
        enough &= run->vectors.gradient != NULL;
    }
    return enough;
}

void
bp_vectors_close(struct run *run)
{
    struct vectors *v = &run->vectors;

    if (!run->applied.in_place) {
        bp_free(v->parameters);
        for (size_t s = 0; s < BP_STATES; s++)
            bp_free(v->state[s]);
    }
    bp_free(v->kept);
    bp_free(v->good.numbers);
    bp_free(v->good.next);
    bp_free(v->gradient);
}

struct bp_vector
bp_trained_vector(const struct run *run, bp_real *numbers)
{
    return (struct bp_vector){numbers, !run->applied.in_place};
}

/* to = from, share `me` of vectors in storage order */
static void
copy_share(const struct bp_network *net, const bp_real *from, bp_real *to, size_t me, size_t shares)
{
    size_t first, last;

    bp_share(net->parameters, shares, me, &first, &last);
    memcpy(bp_at(net, to, first), bp_const_at(net, from, first), (last - first) * net->kernels->size);
}

/* A share of a vector, masked here and not where it comes from: what ends before its first step leaves
 * that as it was. */
static void
pack(const struct bp_network *net, const bp_real *from, bp_real *to, size_t me, size_t shares)
{
    bp_pack(net, from, to, me, shares);
    bp_mask_share(net, (struct bp_vector){to, true}, me, shares);
}

/* In place: the parameters are kept as they were, and then masked, by one thread, as what it masks may be
 * what another has not kept yet. */
static void
keep_and_mask(struct run *run, size_t me, size_t shares)
{
    const struct bp_training *t = run->asked;
    const bool masked = t->net->restraint.masked;

    if (!masked || me == 0)
        copy_share(t->net, t->parameters, run->vectors.kept, me, masked ? 1 : shares);
    if (me > 0)
        return;
    run->vectors.held = true;
    bp_mask_vector(t->net, (struct bp_vector){t->parameters, false});
}

void
bp_note_move(struct run *run)
{
    const struct bp_training *t = run->asked;

    if (!run->applied.in_place)
        return;
    for (size_t s = 0; !run->vectors.moved && s < bp_state_count(t->optimizer); s++)
        bp_mask_vector(t->net, (struct bp_vector){t->optimizer->state[s], false});
    run->vectors.moved = true;
}

bp_real *
bp_room_beside(const struct run *run)
{
    const struct bp_network *net = run->asked->net;
    const size_t vectors = 1 + bp_state_count(run->asked->optimizer);

    return bp_allocate(bp_size_product(vectors, net->packed), net->kernels->size);
}

void
bp_copy_beside(struct run *run, bp_real *beside, bool back)
{
    const struct bp_network *net = run->asked->net;
    const size_t bytes = net->packed * net->kernels->size;

    for (size_t s = 0; s <= bp_state_count(run->asked->optimizer); s++) {
        bp_real *numbers = s == 0 ? run->vectors.parameters : run->vectors.state[s - 1];
        bp_real *copy = bp_at(net, beside, s * net->packed);
        memcpy(back ? numbers : copy, back ? copy : numbers, bytes);
    }
}

bool
bp_set_aside(struct run *run)
{
    run->vectors.good.numbers = bp_room_beside(run);
    run->vectors.good.next = bp_room_beside(run);
    return run->vectors.good.numbers && run->vectors.good.next;
}

void
bp_hand_over(struct run *run)
{
    const struct bp_training *t = run->asked;
    const bp_real *good = run->vectors.good.numbers;

    if (!run->vectors.good.waits)
        return;
    bp_unpack(t->net, good, t->parameters, 0, 1);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        bp_unpack(t->net, bp_const_at(t->net, good, (s + 1) * t->net->packed),
                  t->optimizer->state[s], 0, 1);
    t->optimizer->steps += run->vectors.good.steps;
    run->vectors.good.steps = 0;
    run->vectors.good.waits = false;
}

void
bp_pack_share(struct run *run, size_t me, size_t shares)
{
    const struct bp_training *t = run->asked;

    if (run->applied.in_place) {
        keep_and_mask(run, me, shares);
        return;
    }
    pack(t->net, t->parameters, run->vectors.parameters, me, shares);
    for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
        pack(t->net, t->optimizer->state[s], run->vectors.state[s], me, shares);
    if (run->vectors.good.numbers)
        bp_copy_beside(run, run->vectors.good.numbers, false);
}

void
bp_commit_share(struct run *run, size_t me, size_t shares)
{
    const struct bp_training *t = run->asked;

    if (run->vectors.good.numbers) {
        bp_real *last = run->vectors.good.numbers;
        run->vectors.good.numbers = run->vectors.good.next;
        run->vectors.good.next = last;
        run->vectors.good.steps += run->steps;
        run->vectors.good.waits = true;
        run->steps = 0;
        return;
    }
    const bool another = run->trained->epochs_done < t->settings.epochs;
    if (!run->applied.in_place) {
        bp_unpack(t->net, run->vectors.parameters, t->parameters, me, shares);
        for (size_t s = 0; s < bp_state_count(t->optimizer); s++)
            bp_unpack(t->net, run->vectors.state[s], t->optimizer->state[s], me, shares);
    }
    else if (another)
        copy_share(t->net, t->parameters, run->vectors.kept, me, shares);
    if (me == 0) {
        t->optimizer->steps += run->steps;
        run->steps = 0;
        run->vectors.held &= another;
        run->vectors.moved = false;
    }
}

void
bp_take_back(struct run *run)
{
    const struct bp_training *t = run->asked;
    const size_t states = bp_state_count(t->optimizer);

    if (!run->vectors.held || !(run->vectors.moved || t->net->restraint.masked))
        return;
    copy_share(t->net, run->vectors.kept, t->parameters, 0, 1);
    for (size_t s = 0; run->vectors.moved && s < states; s++)
        memset(t->optimizer->state[s], 0, t->net->parameters * t->net->kernels->size);
    if (run->vectors.moved && states > 0)
        t->optimizer->steps = 0;
}

bool
bp_finite_share(const struct run *run, size_t me, size_t shares)
{
    if (run->vectors.good.numbers)
        return run->vectors.good.finite;
    const struct bp_network *net = run->asked->net;
    const size_t panel = net->kernels->panel;
    const size_t all = run->applied.in_place ? net->parameters : net->packed;
    size_t first, last;

    bp_share(bp_quotient_up(all, panel), shares, me, &first, &last);
    const size_t end = last * panel < all ? last * panel : all;
    return first == last || net->kernels->all_finite(
                                end - first * panel,
                                bp_at(net, run->vectors.parameters, first * panel));
}

size_t
bp_first_bad_layer(const struct run *run, const struct bp_workspace *ws, size_t rows)
{
    const struct bp_network *net = run->asked->net;
    const size_t bad = bp_first_not_finite(net, bp_trained_vector(run, run->vectors.parameters));

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
    if (run->applied.in_place)
        return true;
    bool zeros = bp_pads_are_zeros(run->asked->net, run->vectors.parameters);

    for (size_t s = 0; s < bp_state_count(run->asked->optimizer); s++)
        zeros &= bp_pads_are_zeros(run->asked->net, run->vectors.state[s]);
    return zeros;
}
#endif
