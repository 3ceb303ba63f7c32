#include "solve.h"

#include <math.h>

#include "core/base/clock.h"
#include "core/network/freedom.h"
#include "core/network/functions.h"
#include "solver.h"

/* what thread 0 knows */
struct run {
    struct bp_solving *asked;
    struct bp_crew crew;
    const struct bp_solver *solver;
    void *self;
    enum bp_status status;
};

static void
write_record(const struct bp_reached *reached, size_t evaluations, double seconds, double *record)
{
    record[BP_SOLVED_LOSS] = reached->loss;
    record[BP_SOLVED_ACCURACY] = reached->right;
    record[BP_SOLVED_GRADIENT] = reached->gradient_norm;
    record[BP_SOLVED_DAMPING] = reached->damping;
    record[BP_SOLVED_STEP] = reached->step;
    record[BP_SOLVED_EFFECTIVE] = reached->effective;
    record[BP_SOLVED_EVIDENCE] = reached->log_evidence;
    record[BP_SOLVED_EVALUATIONS] = (double)evaluations;
    record[BP_SOLVED_SECONDS] = seconds;
}

/* Whether the gradient is small enough to end. */
static bool
is_flat(const struct bp_solving *asked, const struct bp_reached *reached)
{
    return !reached->pending && reached->gradient_most <= asked->limits.gradient;
}

/* One iteration; whether another one follows. */
static bool
iterate(struct run *run, struct bp_reached *reached, double begun)
{
    struct bp_solving *asked = run->asked;
    struct bp_objective *o = &((struct bp_solver_base *)run->self)->objective;
    double *record = asked->record + asked->done * BP_SOLVED_FIGURES;
    const double iteration_begun = bp_seconds_now();
    bool flat = is_flat(asked, reached);
    enum bp_outcome outcome = BP_NOT_MOVED;

    reached->step = 0;
    if (!flat)
        outcome = run->solver->iterate(run->self, reached);
    if (outcome == BP_STOPPED)
        return false;
    bp_leave_at(o, reached->parameters);
    if (!bp_validate(o, asked->parameters, record))
        return false;
    const double now = bp_seconds_now();
    write_record(reached, o->evaluations, now - iteration_begun, record);
    o->evaluations = 0;
    asked->done++;
    flat = is_flat(asked, reached);
    asked->end = reached->loss <= asked->limits.target ? BP_END_TARGET
                 : flat                                ? BP_END_GRADIENT
                 : outcome == BP_ALL_FOUND             ? BP_END_SETTLED
                 : outcome == BP_NOT_MOVED             ? BP_END_STALLED
                                                       : BP_END_EPOCHS;
    if (asked->after.ask && asked->after.ask(asked->after.context))
        return false;
    return asked->end == BP_END_EPOCHS && now - begun <= asked->limits.budget;
}

static void
lead(struct run *run)
{
    struct bp_solving *asked = run->asked;
    struct bp_objective *o = &((struct bp_solver_base *)run->self)->objective;
    struct bp_reached reached = {0};
    const double begun = bp_seconds_now();

    if (run->solver->start(run->self, &reached)) {
        if (!isfinite(reached.objective) || !isfinite(reached.gradient_norm)) {
            const struct bp_vector parameters = bp_reading(asked->parameters, false);
            const size_t bad = bp_first_not_finite(asked->net, parameters);
            asked->bad_layer = bad < asked->net->count ? bad : asked->net->count - 1;
            run->status = BP_DIVERGED;
            return;
        }
        while (asked->done < asked->iterations && iterate(run, &reached, begun))
            ;
    }
    if (bp_failed(asked->net))
        run->status = BP_FAILED;
    else if (o->stop)
        run->status = BP_INTERRUPTED;
}

static void
work(struct bp_team *team, size_t me, void *context)
{
    struct run *run = context;

    if (me > 0) {
        bp_crew_follow(&run->crew, team, me);
        return;
    }
    run->crew.team = team;
    lead(run);
    bp_crew_do(&run->crew, NULL, NULL);
}

enum bp_status
bp_solve(struct bp_solving *asked)
{
    struct run run = {
        .asked = asked,
        .crew = {.threads = asked->threads},
        .solver = asked->lbfgs ? &bp_lbfgs_solver : &bp_levenberg_solver,
    };
    enum bp_status status;

    if (asked->net->restraint.masked)
        bp_mask_vector(asked->net, (struct bp_vector){asked->parameters, false});
    asked->done = 0;
    asked->end = BP_END_EPOCHS;
    run.self = run.solver->open(asked, &run.crew, &status);
    if (!run.self)
        return status;
    status = bp_team_run(asked->threads, work, &run);
    run.solver->close(run.self);
    return status == BP_OK ? run.status : status;
}
