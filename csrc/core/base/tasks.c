#include "tasks.h"

#include <pthread.h>
#include <stdatomic.h>

#include "sizes.h"
#include "team.h"
#include "turns.h"

struct work {
    const struct bp_tasks *tasks;
    atomic_size_t next;  /* the task that is taken next */
    atomic_int status;   /* an enum bp_status: not BP_OK ends the work */
    pthread_mutex_t lock;
    pthread_cond_t done; /* a thread has no more to do */
    size_t busy;         /* threads that have; guarded by lock */
    struct bp_watch watch;
};

static bool
is_stopped(void *context)
{
    struct work *work = context;
    return atomic_load_explicit(&work->status, memory_order_relaxed) != BP_OK;
}

/* Ends the work, unless it has ended already. */
static void
end(struct work *work, enum bp_status status)
{
    int expected = BP_OK;
    (void)atomic_compare_exchange_strong(&work->status, &expected, status);
}

/* The caller's thread: asks the caller. */
static bool
ask(void *context)
{
    struct work *work = context;
    const struct bp_poll poll = work->tasks->poll;

    if (is_stopped(work))
        return true;
    if (!poll.ask || !poll.ask(poll.context))
        return false;
    end(work, BP_INTERRUPTED);
    return true;
}

/* The caller's thread: goes on asking until the others have done their last tasks. */
static void
wait_for_others(struct work *work)
{
    pthread_mutex_lock(&work->lock);
    while (work->busy > 0) {
        if (bp_wait_briefly(&work->done, &work->lock)) {
            pthread_mutex_unlock(&work->lock);
            (void)ask(work);
            pthread_mutex_lock(&work->lock);
        }
    }
    pthread_mutex_unlock(&work->lock);
}

static void
work_on_thread(struct bp_team *team, size_t me, void *context)
{
    struct work *work = context;
    const struct bp_tasks *tasks = work->tasks;
    const struct bp_poll poll = {me == 0 ? ask : is_stopped, work};
    size_t i;

    (void)team;
    while (!is_stopped(work) && (i = atomic_fetch_add(&work->next, 1)) < tasks->count) {
        const enum bp_status status = tasks->task(tasks->context, me, i, poll);
        if (status != BP_OK)
            end(work, status);
        if (me == 0)
            (void)bp_watch_stops(&work->watch); /* tasks too short to ask themselves */
    }
    pthread_mutex_lock(&work->lock);
    work->busy--;
    pthread_cond_signal(&work->done);
    pthread_mutex_unlock(&work->lock);
    if (me == 0)
        wait_for_others(work);
}

enum bp_status
bp_do_tasks(const struct bp_tasks *tasks)
{
    const size_t threads = bp_smaller(tasks->threads, tasks->count);
    struct work work = {.tasks = tasks, .busy = threads};

    if (threads == 0)
        return BP_OK;
    work.watch = (struct bp_watch){.poll = {ask, &work}, .asked = bp_seconds_now()};
    pthread_mutex_init(&work.lock, NULL);
    pthread_cond_init(&work.done, NULL);
    const enum bp_status status = bp_team_run(threads, work_on_thread, &work);
    pthread_cond_destroy(&work.done);
    pthread_mutex_destroy(&work.lock);
    return status != BP_OK ? status : (enum bp_status)work.status;
}
