/* Before each stretch a team meets, and thread 0 plans the stretch. A stretch of the team meets in
 * every step; one of thread 0 alone does not meet at all, so that the others, who skip its batches,
 * come to the next meeting long before it. What holds:
 *
 *   1. In stretch s all read next[s % 2], which thread 0 wrote before the meeting that began s.
 *   2. In stretch s thread 0 writes next[(s + 1) % 2] alone: `ended`, where training ends in s.
 *   3. It plans stretch s + 1 only when it has done s, and the others begin s + 1 only when they
 *      meet thread 0 after that. So thread 0 may be a stretch ahead of them, never two, and two
 *      entries are enough: nobody still reads next[(s + 1) % 2] as the entry of s - 1.
 *   4. All end in the same stretch: those who were skipping see `ended` at the next meeting. */
#include "stretches.h"

#include "core/base/clock.h"
#include "feed.h"
#include "methods/method.h"

/* the stretch after this one */
static struct stretch *
following(const struct worker *worker)
{
    return &worker->run->stretches.next[(worker->stretch + 1) % 2];
}

/* All of a team: goes on to the next stretch; false where training has ended. */
static bool
go_on(struct worker *worker)
{
    struct stretches *s = &worker->run->stretches;
    struct stretch *stretch = following(worker);

    if (worker->pass.me == 0) {
        const double now = bp_seconds_now(), waited = bp_waited(worker->pass.team);
        bp_pace_next(&s->pace, now - s->begun,
                     (waited - s->waited) / (double)(worker->pass.threads - 1));
        s->begun = now;
        s->waited = waited;
        *stretch = (struct stretch){.batches = s->pace.steps, .alone = s->pace.alone};
    }
    bp_meet(worker->pass.team);
    if (stretch->ended)
        return false;
    worker->stretch++;
    worker->left = stretch->batches;
    worker->alone = stretch->alone;
    return true;
}

/* One batch by this thread's share, or by thread 0 alone; false when training ends here. */
static bool
train_rows(struct worker *worker, struct bp_rows rows, struct bp_rows next)
{
    const struct method *method = worker->run->applied.method;

    if (!worker->alone)
        return method->step(worker, rows, next);
    if (worker->pass.me > 0) {
        method->skip(worker);
        return true;
    }
    struct bp_pass *pass = &worker->pass;
    struct bp_team *team = pass->team;
    const size_t threads = pass->threads;

    pass->team = NULL;
    pass->threads = 1;
    const bool going = method->step(worker, rows, next);
    if (!going && method->finish) /* the others do not know how far it came: it finishes alone */
        method->finish(worker);
    pass->team = team;
    pass->threads = threads;
    return going;
}

/* Thread 0: what happens between blocks is no part of a stretch. */
static void
resume_clock(struct stretches *s, const struct bp_team *team)
{
    s->begun += bp_seconds_now() - s->epoch_ended;
    s->waited += bp_waited(team) - s->waited_then;
}

static void
pause_clock(struct stretches *s, const struct bp_team *team)
{
    s->epoch_ended = bp_seconds_now();
    s->waited_then = bp_waited(team);
}

bool
bp_train_block(struct worker *worker)
{
    struct run *run = worker->run;
    const struct method *method = run->applied.method;
    const struct bp_pass *pass = &worker->pass;
    bool met = false;

    if (pass->me == 0)
        resume_clock(&run->stretches, pass->team);
    for (struct bp_rows rows = bp_batch_at(run, 0); rows.count > 0;) {
        const struct bp_rows next = bp_batch_at(run, rows.first + rows.count);
        if (pass->team && worker->left == 0 && !go_on(worker)) {
            met = true;
            break;
        }
        worker->left--;
        if (!train_rows(worker, rows, next)) {
            if (pass->me == 0)
                following(worker)->ended = true;
            break;
        }
        rows = next;
    }
    if (!met)
        bp_meet(pass->team); /* thread 0 may have been alone */
    const bool ended = following(worker)->ended;
    if (method->finish && !(ended && worker->alone))
        method->finish(worker);
    if (pass->me == 0)
        pause_clock(&run->stretches, pass->team);
    bp_meet(pass->team);
    return !ended;
}
