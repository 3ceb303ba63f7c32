/* lbfgs.c: limited-memory BFGS (J. Nocedal, "Updating quasi-Newton matrices with limited storage",
 * Mathematics of Computation 35, 1980). The direction is -H g, where H follows from the last moves
 * s of the parameters and changes y of the gradient by the two-loop recursion:
 *
 *   q = g;  from the newest pair: a = s·q / s·y, q -= a y;  q *= s·y / y·y of the newest;
 *   from the oldest:  q += (a - y·q / s·y) s
 *
 * Depends on solver.h, line_search.h and base/. */
#include "line_search.h"
#include "solver.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"

enum { MOST_EVALUATIONS = 25 }; /* of a line search */

/* parameters, and what was found there */
struct point {
    double *x, *gradient;
    struct bp_reached reached;
};

struct run {
    struct bp_solver_base base;
    const struct bp_solving *asked;
    struct point now, trial, lowest; /* lowest: of this line search */
    double *direction, *shares;      /* shares: a of each pair */
    bp_real *numbers;                /* the trial's, [bp_room] */
    size_t points;                   /* so far, for the sweeps' numbers */
    void *memory;
};

static void
visit(void *context, const struct bp_pass *pass, size_t me, size_t group, size_t first)
{
    struct bp_objective *o = context;

    bp_add_losses(o, pass, group, first);
    for (size_t n = 0; n < pass->rows; n++)
        pass->ws->factors[n] = bp_sample_weight(o, first + n) / o->weight;
    bp_delta_from_loss(pass);
    bp_add_gradient(o, pass, me, group);
}

/* Σ l2/2 w² over all weights, and its derivative added to the gradient. */
static double
penalty(const struct bp_network *net, const double *x, double *gradient)
{
    double sum = 0;

    for (size_t l = 0; l < net->count; l++) {
        const struct bp_layer *layer = &net->layers[l];
        const size_t count = layer->inputs * layer->outputs, at = layer->weights_at;
        if (layer->l2 == 0 || layer->freedom.rate == 0)
            continue;
        sum += layer->l2 / 2 * bp_dot(count, x + at, x + at);
        for (size_t p = at; p < at + count; p++)
            gradient[p] += layer->l2 * x[p];
    }
    return sum;
}

/* C and its gradient at point->x, which is rounded; false when it was stopped. */
static bool
evaluate(struct run *run, struct point *point)
{
    const struct bp_network *net = run->asked->net;
    struct bp_objective *o = &run->base.objective;
    const size_t count = net->parameters;
    const struct bp_sweep sweep = {
        .parameters = run->numbers,
        .point = ++run->points,
        .visit = visit,
        .context = o,
    };

    bp_from_doubles(run->asked, count, point->x, run->numbers);
    bp_to_doubles(net, count, run->numbers, point->x);
    o->evaluations++;
    bp_clear_sums(o);
    if (!bp_sweep(o, &sweep))
        return false;
    const struct bp_sums sums = bp_all_sums(o, point->gradient);
    const double loss = sums.loss / o->weight;
    point->reached = (struct bp_reached){
        .loss = loss,
        .objective = loss + penalty(net, point->x, point->gradient),
        .right = (double)sums.right / (double)run->asked->data.x.rows,
        .damping = NAN,
        .effective = NAN,
        .log_evidence = NAN,
        .parameters = point->x,
    };
    point->reached.gradient_most = bp_largest(count, point->gradient);
    point->reached.gradient_norm = sqrt(bp_dot(count, point->gradient, point->gradient));
    return true;
}

static void
swap(struct point *a, struct point *b)
{
    const struct point of_a = *a;
    *a = *b;
    *b = of_a;
}

/* The pair in a place of the ring. */
static double *
pair(const struct run *run, size_t place)
{
    return run->asked->lbfgs->pairs + 2 * place * run->asked->net->parameters;
}

static void
add_scaled(size_t count, double factor, const double *from, double *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] += factor * from[i];
}

/* direction = -H g */
static void
find_direction(struct run *run)
{
    const struct bp_lbfgs *memory = run->asked->lbfgs;
    const size_t count = run->asked->net->parameters, room = memory->memory;
    double *q = run->direction;
    double scale = 1;

    for (size_t i = 0; i < count; i++)
        q[i] = -run->now.gradient[i];
    for (size_t i = 1; i <= memory->count; i++) { /* from the newest */
        const size_t place = (memory->next + room - i) % room;
        const double *s = pair(run, place), *y = s + count;
        const double curvature = bp_dot(count, s, y);
        run->shares[place] = bp_dot(count, s, q) / curvature;
        add_scaled(count, -run->shares[place], y, q);
        if (i == 1)
            scale = curvature / bp_dot(count, y, y);
    }
    for (size_t i = 0; i < count; i++)
        q[i] *= scale;
    for (size_t i = memory->count; i >= 1; i--) {
        const size_t place = (memory->next + room - i) % room;
        const double *s = pair(run, place), *y = s + count;
        const double share = bp_dot(count, y, q) / bp_dot(count, s, y);
        add_scaled(count, run->shares[place] - share, s, q);
    }
}

/* Remembers the move from `now` to `to`, if the function curves upwards along it. */
static void
remember(struct run *run, const struct point *to)
{
    struct bp_lbfgs *memory = run->asked->lbfgs;
    const size_t count = run->asked->net->parameters;
    double *s = pair(run, memory->next), *y = s + count;

    for (size_t i = 0; i < count; i++) {
        s[i] = to->x[i] - run->now.x[i];
        y[i] = to->gradient[i] - run->now.gradient[i];
    }
    if (!(bp_dot(count, s, y) > 0x1p-52 * bp_dot(count, y, y))) {
        if (memory->count == memory->memory)
            memory->count--; /* the oldest was written over */
        return;
    }
    memory->next = (memory->next + 1) % memory->memory;
    if (memory->count < memory->memory)
        memory->count++;
}

/* A point of the line, into `trial`. */
static bool
look(struct run *run, double step, struct bp_on_line *at)
{
    const size_t count = run->asked->net->parameters;

    for (size_t i = 0; i < count; i++)
        run->trial.x[i] = run->now.x[i] + step * run->direction[i];
    if (!evaluate(run, &run->trial))
        return false;
    *at = (struct bp_on_line){step, run->trial.reached.objective,
                              bp_dot(count, run->trial.gradient, run->direction)};
    return true;
}

/* Leaves the new point in `lowest`, if it is lower than `now`. */
static enum bp_outcome
search(struct run *run, double step)
{
    const size_t count = run->asked->net->parameters;
    const struct bp_on_line start = {0, run->now.reached.objective,
                                     bp_dot(count, run->now.gradient, run->direction)};
    struct bp_line_search line;
    struct bp_on_line at;
    double lowest = start.value;

    if (!(start.slope < 0))
        return BP_NOT_MOVED;
    bp_line_search_begin(&line, start, step);
    for (int i = 0; i < MOST_EVALUATIONS; i++) {
        if (!look(run, step, &at))
            return BP_STOPPED;
        if (!isfinite(at.value) || !isfinite(at.slope)) { /* too far: nearer, and no further */
            step = (step + line.best.step) / 2;
            bp_line_search_begin(&line, start, step);
            line.most = step;
            continue;
        }
        const enum bp_search found = bp_line_search_take(&line, at, &step);
        const bool flatter = run->trial.reached.gradient_norm < run->now.reached.gradient_norm;
        if (at.value < lowest ||
            (found == BP_SEARCH_FOUND && (at.value < start.value || flatter))) {
            lowest = at.value;
            swap(&run->trial, &run->lowest);
            if (found == BP_SEARCH_FOUND)
                return BP_MOVED;
        }
        if (found != BP_SEARCH_ON)
            break;
    }
    return lowest < start.value ? BP_MOVED : BP_NOT_MOVED;
}

static enum bp_outcome
iterate(void *self, struct bp_reached *reached)
{
    struct run *run = self;
    struct bp_lbfgs *memory = run->asked->lbfgs;
    const size_t count = run->asked->net->parameters;
    enum bp_outcome outcome;

    do {
        find_direction(run);
        const double norm = sqrt(bp_dot(count, run->direction, run->direction));
        outcome = search(run, memory->count > 0 ? 1 : fmin(1, 1 / norm));
        if (outcome != BP_NOT_MOVED)
            break;
        if (memory->count == 0) {
            reached->step = 0;
            return BP_NOT_MOVED;
        }
        memory->count = 0; /* once more, straight down */
    } while (true);
    if (outcome == BP_STOPPED)
        return outcome;
    double moved = 0;
    for (size_t i = 0; i < count; i++)
        moved += (run->lowest.x[i] - run->now.x[i]) * (run->lowest.x[i] - run->now.x[i]);
    remember(run, &run->lowest);
    swap(&run->now, &run->lowest);
    *reached = run->now.reached;
    reached->step = sqrt(moved);
    return BP_MOVED;
}

/* Pairs of a time when something moved that does not now: they would move it. */
static void
forget_other_problem(struct run *run)
{
    const unsigned char *free = run->base.objective.free;
    struct bp_lbfgs *memory = run->asked->lbfgs;
    const size_t count = run->asked->net->parameters, room = memory->memory;

    for (size_t i = 1; free && i <= memory->count; i++) {
        const double *s = pair(run, (memory->next + room - i) % room), *y = s + count;
        for (size_t p = 0; p < count; p++)
            if (!free[p] && (s[p] != 0 || y[p] != 0)) {
                memory->count = 0;
                return;
            }
    }
}

static bool
start(void *self, struct bp_reached *reached)
{
    struct run *run = self;

    forget_other_problem(run);
    bp_to_doubles(run->asked->net, run->asked->net->parameters, run->asked->parameters, run->now.x);
    if (!evaluate(run, &run->now))
        return false;
    *reached = run->now.reached;
    return true;
}

static void
close_run(void *self)
{
    struct run *run = self;

    bp_objective_free(&run->base.objective);
    bp_free(run->numbers);
    bp_free(run->shares);
    bp_free(run->memory);
    bp_free(run);
}

static void *
open_run(const struct bp_solving *asked, struct bp_crew *crew, enum bp_status *status)
{
    const size_t count = asked->net->parameters;
    struct run *run = bp_allocate(1, sizeof(*run));

    *status = BP_NO_MEMORY;
    if (!run)
        return NULL;
    run->asked = asked;
    run->numbers = bp_allocate(bp_room(asked->net), asked->net->kernels->size);
    run->shares = bp_allocate(asked->lbfgs->memory, sizeof(double));
    run->memory = bp_allocate(bp_size_product(7, count), sizeof(double));
    if (run->numbers && run->shares && run->memory)
        *status =
            bp_objective_init(&run->base.objective, asked, crew, bp_block_rows(asked->net), 0);
    if (*status != BP_OK) {
        close_run(run);
        return NULL;
    }
    double *at = run->memory;
    struct point *points[] = {&run->now, &run->trial, &run->lowest};
    for (size_t i = 0; i < 3; i++) {
        points[i]->x = at;
        points[i]->gradient = at + count;
        at += 2 * count;
    }
    run->direction = at;
    return run;
}

const struct bp_solver bp_lbfgs_solver = {open_run, start, iterate, close_run};
