#include "many.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/base/tasks.h"
#include "core/base/turns.h"
#include "core/passes/alone.h"
#include "core/passes/lanes.h"
#include "places.h"

enum {
    MOST_GROUPS = 256, /* in lanes, whose gradients are kept until they are added */
    MOST_BYTES = 1 << 28 /* of all threads' gradients */
};

bool
bp_gradient_in_lanes(const struct bp_network *net, const struct bp_data *data)
{
    return !bp_is_sparse(&data->x) && !data->derivatives && data->x.rows <= UINT32_MAX &&
           bp_fits_lanes(net, data->x.rows);
}

struct differentiating {
    const struct bp_many *many;
    struct bp_workspace *places;
    bp_real *gradients; /* of each group at hand: parameters, then inputs, `each` numbers */
    size_t each;
    double *losses; /* of each sample at hand, w_n C_0 */
    double weight;  /* of all */
    size_t first;   /* sample at hand */
};

/* where the inputs' sums of a group begin */
static size_t
inputs_at(const struct bp_network *net)
{
    return bp_panels(net, net->parameters) * net->kernels->panel;
}

static enum bp_status
differentiate_group(void *context, size_t me, size_t g, struct bp_poll poll)
{
    const struct differentiating *d = context;
    const struct bp_network *net = d->many->net;
    const struct bp_data *data = d->many->data;
    const size_t group = bp_lanes_rows(net), n = d->first + g * group;
    const struct bp_rows rows = {NULL, n, bp_smaller(group, data->x.rows - n)};
    struct bp_workspace *ws = &d->places[me];
    struct bp_pass pass = bp_pass_alone(net, ws, d->many->parameters, data);
    bp_real *gradient = bp_at(net, d->gradients, g * d->each);

    (void)poll;
    bp_lanes_load(&pass, data, rows, true);
    bp_lanes_forward(&pass);
    (void)bp_lanes_losses(&pass, data, rows);
    memset(ws->factors, 0, group * sizeof(*ws->factors));
    for (size_t i = 0; i < rows.count; i++) {
        const size_t row = bp_lanes_row(net, i);
        const double weight = bp_weight_of(data, rows, i);
        ws->factors[row] = 1 / d->weight * weight;
        d->losses[g * group + i] = weight * ws->losses[row];
    }
    bp_lanes_delta(&pass);
    bp_lanes_backward(&pass, (struct bp_vector){gradient, false},
                      bp_at(net, gradient, inputs_at(net)));
    return BP_OK;
}

/* The groups from d->first on, as many as are kept, to *gradient, and their losses to *total. */
static enum bp_status
add_groups(struct differentiating *d, bp_real *gradient, double *total)
{
    const struct bp_network *net = d->many->net;
    const size_t group = bp_lanes_rows(net), left = d->many->data->x.rows - d->first;
    const size_t rows = bp_smaller(left, MOST_GROUPS * group), groups = bp_quotient_up(rows, group);
    const enum bp_status status = bp_do_tasks(&(struct bp_tasks){
        .count = groups,
        .threads = d->many->threads,
        .task = differentiate_group,
        .context = d,
        .poll = d->many->poll,
    });

    for (size_t g = 0; g < groups; g++)
        net->kernels->add(d->each, gradient, bp_at(net, d->gradients, g * d->each), gradient);
    for (size_t n = 0; n < rows; n++)
        *total += d->losses[n];
    d->first += rows;
    return status;
}

static enum bp_status
gradient_in_lanes(const struct bp_many *many, struct bp_mean_gradient *mean)
{
    const struct bp_network *net = many->net;
    const size_t size = net->kernels->size, features = net->layers[0].inputs;
    const size_t group = bp_lanes_rows(net), rows = many->data->x.rows;
    const size_t kept = bp_smaller(MOST_GROUPS, bp_quotient_up(rows, group));
    enum bp_status status;
    struct differentiating d = {
        .many = many,
        .places = bp_make_places(many, group, 0, &status),
        .each = inputs_at(net) + bp_panels(net, features) * net->kernels->panel,
        .weight = bp_sum_of_weights(many->data),
    };
    bp_real *sum = bp_allocate(d.each, size);
    double total = 0;

    d.gradients = bp_allocate(bp_size_product(kept, d.each), size);
    d.losses = bp_allocate(bp_size_product(kept, group), sizeof(*d.losses));
    if (!sum || !d.gradients || !d.losses)
        status = BP_NO_MEMORY;
    while (status == BP_OK && d.first < rows)
        status = add_groups(&d, sum, &total);
    if (status == BP_OK) {
        memcpy(mean->gradient, sum, net->parameters * size);
        memcpy(mean->inputs, bp_at(net, sum, inputs_at(net)), features * size);
    }
    mean->loss = total / d.weight;
    bp_free_places(many, d.places);
    bp_free(d.gradients);
    bp_free(d.losses);
    bp_free(sum);
    return status;
}

/* Groups of rows that are summed by whoever gets hold of them, and added in order. */
struct summing {
    const struct bp_many *many;
    struct bp_workspace *places;
    struct bp_mean_gradient *mean;
    bp_real *gradients; /* one a thread, [bp_room]; NULL where each group is added as it is summed */
    bp_real *deltas;    /* of all groups, [panels][P] */
    double *losses;     /* one group's a thread */
    size_t rows;        /* of a group */
    double weight, total; /* Σ w_n of all, Σ w_n C_0 so far */
    struct bp_turns turns;
};

/* Numbers of a vector of the first layer's nodes. */
static size_t
nodes_of(const struct bp_network *net)
{
    return bp_panels(net, net->layers[0].outputs) * net->kernels->panel;
}

/* The sums of a group to those of the groups before it. */
static void
add_group(struct summing *s, const struct bp_gradient_sum *sum, size_t count)
{
    const struct bp_network *net = s->many->net;

    if (sum->gradient != s->mean->gradient) {
        net->kernels->add(net->parameters, s->mean->gradient, sum->gradient, s->mean->gradient);
        net->kernels->add(nodes_of(net), s->deltas, sum->deltas, s->deltas);
    }
    for (size_t n = 0; n < count; n++)
        s->total += sum->losses[n];
}

static enum bp_status
sum_group(void *context, size_t me, size_t g, struct bp_poll poll)
{
    struct summing *s = context;
    const struct bp_many *many = s->many;
    const struct bp_network *net = many->net;
    const size_t first = g * s->rows, left = many->data->x.rows - first;
    const struct bp_rows rows = {NULL, first, bp_smaller(s->rows, left)};
    const bool in_place = g == 0 || !s->gradients;
    struct bp_watch watch = {.poll = poll, .asked = bp_seconds_now()};
    struct bp_pass pass = bp_pass_alone(net, &s->places[me], many->parameters, many->data);
    const struct bp_gradient_sum sum = {
        .gradient = in_place ? s->mean->gradient : bp_at(net, s->gradients, me * bp_room(net)),
        .deltas = in_place ? s->deltas : s->places[me].scratch.deltas,
        .losses = s->losses + me * s->rows,
        .add = in_place && g > 0,
    };

    pass.ws->scratch.watch = &watch;
    bp_sum_gradient(&pass, many->data, rows, s->weight, &sum);
    if (watch.stopped || !bp_await_turn(&s->turns, g, poll))
        return BP_INTERRUPTED;
    add_group(s, &sum, rows.count);
    bp_next_turn(&s->turns);
    return BP_OK;
}

/* Gradients of all threads are kept within bounds: large networks have fewer threads. */
static size_t
threads_for(const struct bp_many *many)
{
    const size_t most = MOST_BYTES / (bp_room(many->net) * many->net->kernels->size);
    return most < 1 ? 1 : bp_smaller(many->threads, most);
}

static enum bp_status
gradient_of_groups(const struct bp_many *asked, struct bp_mean_gradient *mean)
{
    const struct bp_network *net = asked->net;
    const struct bp_data *data = asked->data;
    const size_t size = net->kernels->size, together = bp_rows_together(net, data->x.rows);
    struct bp_many many = *asked;
    struct summing s = {
        .many = &many, .mean = mean, .rows = bp_rows_of_sum(net, data), .weight = bp_sum_of_weights(data)};
    enum bp_status status;

    many.threads = threads_for(asked);
    s.places = bp_make_places(&many, together, 0, &status);
    s.deltas = bp_allocate(nodes_of(net), size);
    s.losses = bp_allocate(bp_size_product(many.threads, s.rows), sizeof(*s.losses));
    const bool in_place = many.threads == 1 && s.rows <= together; /* the same bits */
    if (!in_place)
        s.gradients = bp_allocate(bp_size_product(many.threads, bp_room(net)), size);
    if (!s.deltas || !s.losses || (!s.gradients && !in_place))
        status = BP_NO_MEMORY;
    bp_open_turns(&s.turns);
    if (status == BP_OK)
        status = bp_do_tasks(&(struct bp_tasks){
            .count = bp_quotient_up(data->x.rows, s.rows),
            .threads = many.threads,
            .task = sum_group,
            .context = &s,
            .poll = many.poll,
        });
    bp_close_turns(&s.turns);
    if (status == BP_OK) {
        const struct bp_pass pass = bp_pass_alone(net, &s.places[0], many.parameters, data);
        bp_inputs_from_deltas(&pass, s.deltas, mean->inputs);
        mean->loss = s.total / s.weight;
    }
    bp_free_places(&many, s.places);
    bp_free(s.gradients);
    bp_free(s.deltas);
    bp_free(s.losses);
    return status;
}

enum bp_status
bp_gradient_many(const struct bp_many *many, struct bp_mean_gradient *mean)
{
    return (bp_gradient_in_lanes(many->net, many->data) ? gradient_in_lanes : gradient_of_groups)(
        many, mean);
}
