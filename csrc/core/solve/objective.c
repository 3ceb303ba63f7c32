#include "objective.h"

#include <math.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/sizes.h"
#include "core/evaluate/outputs.h"
#include "core/network/freedom.h"
#include "core/network/functions.h"

enum { MOST_GROUPS = 16, VALIDATION_ROWS = 128, POLLS_A_SECOND = 100 };

/* what is resident where no forward pass has been done */
enum { NOTHING };

size_t
bp_block_rows(const struct bp_network *net)
{
    enum { NUMBERS = 1 << 15, LEAST = 128, MOST = 1024, MULTIPLE = 16 };
    size_t nodes = net->layers[0].inputs;

    for (size_t l = 0; l < net->count; l++)
        nodes += 2 * net->layers[l].outputs;
    const size_t rows = NUMBERS / nodes / MULTIPLE * MULTIPLE;
    return rows < LEAST ? LEAST : rows > MOST ? MOST : rows;
}

enum bp_status
bp_objective_init(struct bp_objective *o, const struct bp_solving *asked, struct bp_crew *crew,
                  size_t rows, unsigned flags)
{
    const struct bp_network *net = asked->net;
    const size_t samples = asked->data.x.rows;
    enum bp_status status = BP_OK;

    *o = (struct bp_objective){.asked = asked, .crew = crew};
    o->rows = bp_smaller(samples, rows);
    o->blocks = bp_quotient_up(samples, o->rows);
    o->groups = o->blocks < MOST_GROUPS ? o->blocks : MOST_GROUPS;
    for (size_t n = 0; n < samples; n++)
        o->weight += bp_sample_weight(o, n);
    o->ws = bp_allocate(crew->threads, sizeof(*o->ws));
    o->gradients = bp_allocate(crew->threads, sizeof(*o->gradients));
    o->sums = bp_allocate(o->groups, sizeof(*o->sums));
    o->sum_numbers = bp_allocate(bp_size_product(o->groups, net->parameters), sizeof(double));
    if (!o->ws || !o->gradients || !o->sums || !o->sum_numbers)
        return BP_NO_MEMORY;
    if (net->restraint.masked || net->restraint.rated) {
        o->free = bp_allocate(net->parameters, 1);
        if (!o->free)
            return BP_NO_MEMORY;
        bp_find_free(net, o->free);
    }
    for (size_t g = 0; g < o->groups; g++)
        o->sums[g].gradient = o->sum_numbers + g * net->parameters;
    for (size_t me = 0; status == BP_OK && me < crew->threads; me++) {
        status = bp_workspace_for(&o->ws[me], net, &asked->data, o->rows, 1, flags);
        o->gradients[me] = bp_allocate(bp_room(net), net->kernels->size);
        if (!o->gradients[me])
            return BP_NO_MEMORY;
    }
    if (status == BP_OK && asked->validation) {
        const size_t held_out = asked->validation->x.rows;
        status = bp_workspace_for(&o->held_out, net, asked->validation,
                                  held_out < VALIDATION_ROWS ? held_out : VALIDATION_ROWS,
                                  crew->threads, BP_FORWARD_ONLY);
    }
    return status;
}

void
bp_objective_free(struct bp_objective *o)
{
    const size_t threads = o->crew ? o->crew->threads : 0;

    for (size_t me = 0; me < threads; me++) {
        if (o->ws)
            bp_workspace_free(&o->ws[me]);
        if (o->gradients)
            bp_free(o->gradients[me]);
    }
    bp_workspace_free(&o->held_out);
    bp_free(o->ws);
    bp_free(o->gradients);
    bp_free(o->sums);
    bp_free(o->sum_numbers);
    bp_free(o->free);
}

/* Thread 0: asks the caller, if it is time to, whether to stop. */
static bool
poll_if_due(void *context)
{
    struct bp_objective *o = context;
    const double now = bp_seconds_now();

    if (!o->asked->poll.ask || now - o->polled < 1.0 / (double)POLLS_A_SECOND)
        return false;
    o->polled = now;
    return o->asked->poll.ask(o->asked->poll.context);
}

struct sweeping {
    struct bp_objective *objective;
    const struct bp_sweep *sweep;
};

static void
visit_block(struct bp_objective *o, const struct bp_sweep *sweep, size_t me, size_t group,
            size_t block)
{
    const struct bp_solving *asked = o->asked;
    const size_t first = block * o->rows, left = asked->data.x.rows - first;
    struct bp_pass pass = bp_pass_alone(asked->net, &o->ws[me], sweep->parameters, &asked->data);

    pass.rows = bp_smaller(left, o->rows);
    if (o->blocks > 1 || o->resident == NOTHING)
        bp_load_batch(&pass, &asked->data, &(struct bp_rows){NULL, first, pass.rows}, true);
    if (o->blocks > 1 || o->resident != sweep->point)
        bp_forward(&pass);
    if (o->blocks == 1)
        o->resident = sweep->point;
    sweep->visit(sweep->context, &pass, me, group, first);
}

static void
visit_groups(struct sweeping *s, size_t me, size_t threads)
{
    struct bp_objective *o = s->objective;

    for (size_t g = me; g < o->groups; g += threads) {
        size_t first, last;
        bp_share(o->blocks, o->groups, g, &first, &last);
        for (size_t block = first; block < last; block++) {
            if (me == 0 && (poll_if_due(o) || bp_failed(o->asked->net)))
                o->stop = true;
            if (o->stop)
                return;
            visit_block(o, s->sweep, me, g, block);
        }
    }
}

static void
visit_share(void *context, size_t me)
{
    struct sweeping *s = context;
    visit_groups(s, me, s->objective->crew->threads);
}

bool
bp_sweep(struct bp_objective *o, const struct bp_sweep *sweep)
{
    struct sweeping s = {o, sweep};

    if (sweep->alone || o->groups == 1)
        visit_groups(&s, 0, 1);
    else
        bp_crew_do(o->crew, visit_share, &s);
    return !o->stop && !bp_failed(o->asked->net);
}

void
bp_add_losses(struct bp_objective *o, const struct bp_pass *pass, size_t group, size_t first)
{
    const struct bp_workspace *ws = pass->ws;
    struct bp_sums *sums = &o->sums[group];

    bp_losses(pass);
    for (size_t n = 0; n < pass->rows; n++) {
        const double weight = bp_sample_weight(o, first + n);
        sums->loss += weight == 0 ? 0 : weight * ws->losses[n];
        sums->right += ws->classes[n] == ws->wanted[n];
    }
}

void
bp_add_gradient(struct bp_objective *o, const struct bp_pass *pass, size_t me, size_t group)
{
    const struct bp_network *net = pass->net;
    bp_real *gradient = o->gradients[me];
    double *sum = o->sums[group].gradient;

    bp_backward(pass, &(struct bp_update){
                          .what = BP_STORE, .gradient = {gradient, false}, .moving = true});
    if (net->kernels->dtype == BP_FLOAT32)
        for (size_t p = 0; p < net->parameters; p++)
            sum[p] += ((const float *)gradient)[p];
    else
        for (size_t p = 0; p < net->parameters; p++)
            sum[p] += ((const double *)gradient)[p];
}

void
bp_clear_sums(struct bp_objective *o)
{
    const size_t count = o->asked->net->parameters;

    for (size_t g = 0; g < o->groups; g++) {
        o->sums[g].loss = 0;
        o->sums[g].right = 0;
        memset(o->sums[g].gradient, 0, count * sizeof(double));
    }
}

struct bp_sums
bp_all_sums(const struct bp_objective *o, double *gradient)
{
    const size_t count = o->asked->net->parameters;
    struct bp_sums all = {0, 0, gradient};

    for (size_t g = 0; g < o->groups; g++) {
        all.loss += o->sums[g].loss;
        all.right += o->sums[g].right;
        for (size_t p = 0; gradient && p < count; p++)
            gradient[p] = (g == 0 ? 0 : gradient[p]) + o->sums[g].gradient[p];
    }
    return all;
}

struct validating {
    struct bp_objective *objective;
    const bp_real *parameters;
    struct bp_results results; /* thread 0's */
    bool stop;
};

static void
validate_share(void *context, size_t me)
{
    struct validating *v = context;
    struct bp_objective *o = v->objective;
    struct bp_results own = {.poll = poll_if_due, .context = o, .stop = &v->stop};
    struct bp_pass pass = {
        .net = o->asked->net,
        .ws = &o->held_out,
        .parameters = bp_reading(v->parameters, false),
        .team = o->crew->team,
        .me = me,
        .threads = o->crew->threads,
        .masked = o->asked->validation->mask.data != NULL,
    };

    bp_evaluate(&pass, o->asked->validation, true, &own);
    if (me == 0)
        v->results = own;
}

bool
bp_validate(struct bp_objective *o, const bp_real *parameters, double *record)
{
    struct validating v = {.objective = o, .parameters = parameters};

    record[BP_SOLVED_VALIDATION_LOSS] = record[BP_SOLVED_VALIDATION_ACCURACY] = NAN;
    if (!o->asked->validation)
        return true;
    bp_crew_do(o->crew, validate_share, &v);
    record[BP_SOLVED_VALIDATION_LOSS] = v.results.total / v.results.weight;
    record[BP_SOLVED_VALIDATION_ACCURACY] = (double)v.results.right / (double)v.results.samples;
    if (v.stop)
        o->stop = true;
    return !v.stop && !bp_failed(o->asked->net);
}

double
bp_dot(size_t count, const double *a, const double *b)
{
    enum { LANES = 16 };
    double sums[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= count; i += LANES)
        for (size_t t = 0; t < LANES; t++)
            sums[t] += a[i + t] * b[i + t];
    for (; i < count; i++)
        sum += a[i] * b[i];
    for (size_t t = 0; t < LANES; t++)
        sum += sums[t];
    return sum;
}

double
bp_largest(size_t count, const double *a)
{
    double most = 0;

    for (size_t i = 0; i < count; i++)
        if (!(fabs(a[i]) <= most))
            most = fabs(a[i]);
    return most;
}

void
bp_to_doubles(const struct bp_network *net, size_t count, const bp_real *from, double *to)
{
    if (net->kernels->dtype == BP_FLOAT64)
        memcpy(to, from, count * sizeof(double));
    else
        for (size_t i = 0; i < count; i++)
            to[i] = ((const float *)from)[i];
}

void
bp_from_doubles(const struct bp_solving *asked, size_t count, const double *from, bp_real *to)
{
    if (asked->net->kernels->dtype == BP_FLOAT32)
        for (size_t i = 0; i < count; i++)
            ((float *)to)[i] = (float)from[i];
    else if (asked->single)
        for (size_t i = 0; i < count; i++)
            ((double *)to)[i] = (float)from[i];
    else
        memcpy(to, from, count * sizeof(double));
}

void
bp_gather_free(const struct bp_objective *o, const double *from, double *to)
{
    for (size_t p = 0, i = 0; p < o->asked->net->parameters; p++)
        if (!o->free || o->free[p])
            to[i++] = from[p];
}

void
bp_scatter_free(const struct bp_objective *o, const double *from, double *to)
{
    size_t i = bp_free_parameters(o->asked->net);

    for (size_t p = o->asked->net->parameters; p-- > 0;)
        to[p] = !o->free || o->free[p] ? from[--i] : 0;
}

void
bp_leave_at(const struct bp_objective *o, const double *from)
{
    const struct bp_solving *asked = o->asked;
    const size_t size = asked->net->kernels->size;

    for (size_t p = 0; o->free && p < asked->net->parameters; p++)
        if (o->free[p])
            bp_from_doubles(asked, 1, from + p, (char *)asked->parameters + p * size);
    if (!o->free)
        bp_from_doubles(asked, asked->net->parameters, from, asked->parameters);
}
