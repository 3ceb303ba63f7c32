/* bayesian.c: Levenberg-Marquardt finds its penalties, and goes back to the best parameters: evidence.h.
 * Depends on levenberg.h and evidence.h. */
#include "levenberg.h"

#include <math.h>
#include <string.h>

#include "evidence.h"

/* The parameters rest where a step lowers C and penalties by less than that share. */
static const double REST = 1e-4;

/* What the data say of the penalties at `now`. */
static struct bp_evidence
evidence_of(const struct bp_levenberg_run *run)
{
    return (struct bp_evidence){
        .net = run->asked->net,
        .free = run->base.objective.free,
        .w = run->now.parameters,
        .errors = run->reached.loss / run->to_loss,
    };
}

/* D and C with it from the penalties, and what the history shows. */
static void
take_over(struct bp_levenberg_run *run)
{
    const struct bp_bayes *bayes = run->asked->levenberg->bayes;
    const struct bp_evidence evidence = evidence_of(run);

    bp_spread_penalties(&evidence, bayes->penalties, run->penalties);
    bp_levenberg_penalize(run);
    run->reached.effective = bayes->effective == 0 ? NAN : bayes->effective;
    run->reached.log_evidence = bayes->log_evidence == 0 ? NAN : bayes->log_evidence;
    run->reached.pending = bayes->stage != BP_SETTLED;
}

void
bp_bayesian_start(struct bp_levenberg_run *run)
{
    struct bp_bayes *bayes = run->asked->levenberg->bayes;
    const struct bp_evidence evidence = evidence_of(run);

    if (bayes->stage == BP_NOT_BEGUN)
        bp_first_penalties(&evidence, bayes);
    take_over(run);
}

/* By the J of the step, as the factor's room is free. */
static enum bp_verdict
weigh(struct bp_levenberg_run *run, struct bp_bayes *next)
{
    struct bp_evidence evidence = evidence_of(run);

    if (!bp_levenberg_factorize(run, 0))
        bp_levenberg_factorize(run, run->reached.damping);
    evidence.log_determinant = bp_matrix_log_determinant(&run->normal.factor);
    bp_matrix_inverse_diagonal(&run->normal.factor, run->solved, run->acceleration);
    bp_scatter_free(&run->base.objective, run->acceleration, run->acceleration);
    evidence.diagonal = run->acceleration;
    return bp_next_penalties(&evidence, run->asked->levenberg->bayes, next);
}

bool
bp_bayesian_rest(struct bp_levenberg_run *run, double before)
{
    struct bp_bayes *bayes = run->asked->levenberg->bayes, next = *bayes;
    const size_t groups = bp_groups(run->asked->net), count = run->asked->net->parameters;

    if (before - run->reached.objective > REST * run->reached.objective) {
        take_over(run);
        return true;
    }
    next.penalties = run->next;
    memcpy(next.penalties, bayes->penalties, groups * sizeof(double));
    const enum bp_verdict verdict = weigh(run, &next);
    if (verdict == BP_GO_BACK) {
        memcpy(run->now.parameters, bayes->kept, count * sizeof(double));
        run->fresh = false;
        if (!bp_levenberg_visit(run))
            return false;
    }
    if (verdict == BP_KEEP) {
        memcpy(bayes->kept, run->now.parameters, count * sizeof(double));
        memcpy(bayes->kept_penalties, bayes->penalties, groups * sizeof(double));
        next.kept_effective = next.effective;
        next.kept_log_evidence = next.log_evidence;
    }
    memcpy(bayes->penalties, next.penalties, groups * sizeof(double));
    next.penalties = bayes->penalties;
    *bayes = next;
    take_over(run);
    return true;
}
