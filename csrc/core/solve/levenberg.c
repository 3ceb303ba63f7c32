/* levenberg.c: Levenberg-Marquardt with geodesic acceleration (M. K. Transtrum and J. P. Sethna,
 * "Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares minimization",
 * arXiv:1201.5885). With D the penalties of the parameters and r'' the second derivative of the
 * residuals along v:
 *
 *   (JᵀJ + D + μI) v = -(Jᵀr + Dw)      (JᵀJ + D + μI) 2a = -Jᵀr''      w += v + a
 *
 * Without D, and where residuals are fewer than parameters, (JᵀJ + μI)⁻¹Jᵀ = Jᵀ(JJᵀ + μI)⁻¹.
 * The Bayesian D follows from the data: bayesian.c.
 * Depends on levenberg.h and base/. */
#include "levenberg.h"
#include "solve.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"

/* Damping: what the first is of the largest entry on the diagonal; how it falls and rises, as
 * Transtrum and Sethna found best, and benchmarks/whole_batch.py does. The step
 * is refused where the acceleration is more than BEND of it: the second order then says little. */
static const double FIRST = 1e-3, FALL = 1.0 / 3, RISE = 2, BEND = 0.75;
/* and where it ends, beside that entry */
static const double LEAST = 1e-18, MOST = 1e18;

static size_t
parameters_of(const struct bp_levenberg_run *run)
{
    return run->asked->net->parameters;
}

/* Σ D w², in units of Σ r² */
static double
penalty(const struct bp_levenberg_run *run, const double *w)
{
    double sum = 0;
    for (size_t p = 0; p < parameters_of(run); p++)
        sum += run->penalties[p] * w[p] * w[p];
    return sum;
}

/* What the last sums say of a point. */
static void
reach(struct bp_levenberg_run *run, const struct bp_point *point, struct bp_reached *reached)
{
    const struct bp_objective *o = &run->base.objective;
    const struct bp_sums sums = bp_all_sums(o, NULL);

    reached->loss = sums.loss / o->weight;
    reached->objective = reached->loss + run->to_loss * penalty(run, point->parameters);
    reached->right = (double)sums.right / (double)run->asked->data.x.rows;
    reached->parameters = point->parameters;
}

/* solved = the gradient of ½ (Σ r² + Σ D w²), and how large that of C is. */
static void
find_gradient(struct bp_levenberg_run *run, struct bp_reached *reached)
{
    const size_t count = parameters_of(run);

    for (size_t p = 0; p < count; p++)
        run->step[p] = run->pulled[p] + run->penalties[p] * run->now.parameters[p];
    reached->gradient_norm = 2 * run->to_loss * sqrt(bp_dot(count, run->step, run->step));
    reached->gradient_most = 2 * run->to_loss * bp_largest(count, run->step);
}

void
bp_levenberg_penalize(struct bp_levenberg_run *run)
{
    run->reached.objective = run->reached.loss + run->to_loss * penalty(run, run->now.parameters);
}

bool
bp_levenberg_visit(struct bp_levenberg_run *run)
{
    run->now.number = ++run->points;
    if (!bp_residuals_at(&run->residuals, run->now))
        return false;
    reach(run, &run->now, &run->reached);
    memcpy(run->r, run->residuals.r, run->residuals.slots * sizeof(double));
    return bp_pull_back(&run->residuals, run->now, run->r, run->pulled);
}

static bool
start(void *self, struct bp_reached *reached)
{
    struct bp_levenberg_run *run = self;
    const struct bp_levenberg *own = run->asked->levenberg;

    memcpy(run->now.parameters, run->asked->parameters, parameters_of(run) * sizeof(double));
    run->reached = (struct bp_reached){.damping = own->damping, .effective = NAN, .log_evidence = NAN};
    if (!bp_levenberg_visit(run))
        return false;
    if (own->bayes)
        bp_bayesian_start(run);
    find_gradient(run, &run->reached);
    *reached = run->reached;
    return true;
}

bool
bp_levenberg_factorize(struct bp_levenberg_run *run, double damping)
{
    const struct bp_matrix *from = &run->normal.matrix, *to = &run->normal.factor;

    memcpy(to->numbers, from->numbers, bp_matrix_numbers(from->order) * sizeof(double));
    if (!run->normal.dual)
        bp_gather_free(&run->base.objective, run->penalties, run->solved);
    for (size_t i = 0; i < to->order; i++)
        *bp_entry(to, i, i) += damping + (run->normal.dual ? 0 : run->solved[i]);
    return bp_matrix_factor(to);
}

/* out = factor · (matrix + damping)⁻¹ of what stands for u: its Jᵀu where the matrix is JᵀJ, and
 * the slots themselves where it is JJᵀ. */
static bool
solve(struct bp_levenberg_run *run, const double *slots, const double *pulled, double factor, double *out)
{
    const size_t count = parameters_of(run);
    const struct bp_objective *o = &run->base.objective;
    double *solved = run->solved;

    if (run->normal.dual)
        memcpy(solved, slots, run->normal.factor.order * sizeof(double));
    else
        bp_gather_free(o, pulled, solved);
    bp_matrix_solve(&run->normal.factor, solved);
    if (!run->normal.dual)
        bp_scatter_free(o, solved, out);
    else if (!bp_pull_back(&run->residuals, run->now, solved, out))
        return false;
    for (size_t p = 0; p < count; p++)
        out[p] *= factor;
    return true;
}

enum attempt { TAKEN, REFUSED, NOWHERE, ENDED };

/* step, with the acceleration, for this damping */
static enum attempt
find_step(struct bp_levenberg_run *run, double damping)
{
    const struct bp_levenberg *own = run->asked->levenberg;
    const size_t count = parameters_of(run);
    struct bp_reached ignored;
    double *a = run->acceleration;

    if (!bp_levenberg_factorize(run, damping))
        return REFUSED;
    find_gradient(run, &ignored);
    if (!solve(run, run->r, run->step, -1, run->step))
        return ENDED;
    if (!own->accelerated)
        return TAKEN;
    memcpy(run->residuals.along, run->step, count * sizeof(double));
    if (!bp_bend(&run->residuals, run->now, run->normal.dual ? NULL : a) ||
        !solve(run, run->residuals.bend, a, -0.5, a))
        return ENDED;
    const double bend = bp_dot(count, a, a), length = bp_dot(count, run->step, run->step);
    if (!(4 * bend <= BEND * BEND * length))
        return REFUSED;
    for (size_t p = 0; p < count; p++)
        run->step[p] += a[p];
    return TAKEN;
}

/* The point a step away, if it is lower. */
static enum attempt
try_step(struct bp_levenberg_run *run, double damping, struct bp_reached *reached)
{
    const size_t count = parameters_of(run);
    enum attempt found = find_step(run, damping);

    if (found != TAKEN)
        return found;
    for (size_t p = 0; p < count; p++)
        run->step[p] += run->now.parameters[p];
    bp_from_doubles(run->asked, count, run->step, run->trial.parameters);
    if (memcmp(run->trial.parameters, run->now.parameters, count * sizeof(double)) == 0)
        return NOWHERE;
    run->trial.number = ++run->points;
    if (!bp_residuals_at(&run->residuals, run->trial))
        return ENDED;
    reach(run, &run->trial, reached);
    return reached->objective < run->reached.objective ? TAKEN : REFUSED;
}

/* The largest entry on the diagonal. */
static double
largest_square(const struct bp_matrix *m)
{
    double most = 0;
    for (size_t i = 0; i < m->order; i++)
        most = fmax(most, *bp_entry(m, i, i));
    return most > 0 ? most : 1;
}

/* The trial becomes `now`. */
static bool
accept(struct bp_levenberg_run *run, const struct bp_reached *there)
{
    const struct bp_point left = run->now;
    double *r = run->residuals.r;

    run->now = run->trial;
    run->trial = left;
    run->residuals.r = run->r;
    run->r = r;
    run->reached = *there;
    run->fresh = false;
    return bp_pull_back(&run->residuals, run->now, run->r, run->pulled);
}

/* How far `now` is from the parameters that the iteration began with. */
static double
moved(const struct bp_levenberg_run *run, const double *from)
{
    double sum = 0;
    for (size_t p = 0; p < parameters_of(run); p++) {
        const double by = run->now.parameters[p] - from[p];
        sum += by * by;
    }
    return sqrt(sum);
}

/* A lower point than `now`, of some damping; NOWHERE, with the last one tried, if there is none. */
static enum attempt
search(struct bp_levenberg_run *run, double most, struct bp_reached *there)
{
    const double first = run->asked->levenberg->damping;
    double damping = first > 0 ? first : FIRST * most;

    for (; damping <= MOST * most; damping *= RISE) {
        *there = run->reached;
        there->damping = damping;
        const enum attempt result = try_step(run, damping, there);
        if (result != REFUSED)
            return result;
    }
    there->damping = damping;
    return NOWHERE;
}

static enum bp_outcome
iterate(void *self, struct bp_reached *reached)
{
    struct bp_levenberg_run *run = self;
    struct bp_levenberg *own = run->asked->levenberg;
    struct bp_reached there;

    if (!run->fresh && !bp_normal_at(&run->normal, run->now))
        return BP_STOPPED;
    run->fresh = true;
    const double most = largest_square(&run->normal.matrix), before = run->reached.objective;
    const enum attempt found = search(run, most, &there);
    if (found == ENDED || (found == TAKEN && !accept(run, &there)))
        return BP_STOPPED;
    const bool taken = found == TAKEN, weighed = own->bayes && own->bayes->stage != BP_SETTLED;
    run->reached.damping = there.damping;
    if (weighed && !bp_bayesian_rest(run, before))
        return BP_STOPPED;
    if (taken)
        own->damping = fmax(FALL * there.damping, LEAST * most);
    find_gradient(run, &run->reached);
    run->reached.step = taken ? moved(run, run->trial.parameters) : 0;
    *reached = run->reached;
    if (weighed)
        return own->bayes->stage == BP_SETTLED ? BP_ALL_FOUND : BP_MOVED;
    return taken ? BP_MOVED : BP_NOT_MOVED;
}

static void
close_run(void *self)
{
    struct bp_levenberg_run *run = self;

    bp_normal_free(&run->normal);
    if (run->residuals.objective)
        bp_residuals_free(&run->residuals);
    bp_objective_free(&run->base.objective);
    bp_free(run->now.parameters);
    bp_free(run->trial.parameters);
    bp_free(run->r);
    bp_free(run->pulled);
    bp_free(run->step);
    bp_free(run->acceleration);
    bp_free(run->solved);
    bp_free(run->penalties);
    bp_free(run->next);
    bp_free(run);
}

static bool
take(double **place, size_t count)
{
    *place = bp_allocate(count, sizeof(double));
    return *place != NULL;
}

static enum bp_status
take_all(struct bp_levenberg_run *run, struct bp_crew *crew)
{
    const struct bp_solving *asked = run->asked;
    const struct bp_network *net = asked->net;
    const size_t count = net->parameters, samples = asked->data.x.rows;
    const bool bayesian = asked->levenberg->bayes, primal = bayesian || net->penalized;
    const struct bp_normal_shape shape = bp_normal_shape(net, samples, primal);
    const bool bends = asked->levenberg->accelerated;
    enum bp_status status = bp_objective_init(&run->base.objective, asked, crew, shape.rows,
                                              bends ? BP_KEEP_Z : 0);

    if (status == BP_OK)
        status = bp_residuals_init(&run->residuals, &run->base.objective, bends);
    if (status == BP_OK)
        status = bp_normal_init(&run->normal, &run->residuals, shape.dual);
    if (status != BP_OK)
        return status;
    const bool enough = take(&run->now.parameters, bp_room(net)) &&
                        take(&run->trial.parameters, bp_room(net)) &&
                        take(&run->r, run->residuals.slots) && take(&run->pulled, count) &&
                        take(&run->step, count) && take(&run->acceleration, count) &&
                        take(&run->solved, shape.order) && take(&run->penalties, count) &&
                        (!bayesian || take(&run->next, bp_groups(net)));
    return enough ? BP_OK : BP_NO_MEMORY;
}

static void *
open_run(const struct bp_solving *asked, struct bp_crew *crew, enum bp_status *status)
{
    const struct bp_network *net = asked->net;
    struct bp_levenberg_run *run = bp_allocate(1, sizeof(*run));

    *status = BP_NO_MEMORY;
    if (!run)
        return NULL;
    run->asked = asked;
    *status = take_all(run, crew);
    if (*status != BP_OK) {
        close_run(run);
        return NULL;
    }
    const size_t outputs = net->layers[net->count - 1].outputs;
    run->to_loss = 1 / run->base.objective.weight /
                   (net->loss == BP_MEAN_SQUARED_ERROR ? (double)outputs : 1);
    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        for (size_t i = 0; layer->freedom.rate != 0 && i < layer->inputs * layer->outputs; i++)
            run->penalties[layer->weights_at + i] = layer->l2 / 2 / run->to_loss;
    }
    return run;
}

size_t
bp_levenberg_bytes(const struct bp_network *net, size_t samples, bool primal)
{
    return bp_normal_shape(net, samples, primal).bytes;
}

const struct bp_solver bp_levenberg_solver = {open_run, start, iterate, close_run};
