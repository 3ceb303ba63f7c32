/* Three threads on one core: each waits for it two thirds of the time. Linux only; prints what fails,
 * and returns 77 where the system does not tell. */
#define _GNU_SOURCE /* CPU sets */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/crowding.h"

enum { THREADS = 3 };

static atomic_int begun;
static double crowding[THREADS];

static void *
work(void *argument)
{
    double *seen = argument;
    volatile double sum = 0;

    atomic_fetch_add(&begun, 1);
    while (atomic_load(&begun) < THREADS)
        sched_yield();
    bp_crowding(); /* from here on */
    for (int i = 0; i < 50000000; i++)
        sum += i;
    *seen = bp_crowding();
    return NULL;
}

int
main(void)
{
    pthread_t threads[THREADS];
    cpu_set_t cpus, one;
    int failed = 0;

    if (access("/proc/thread-self/schedstat", R_OK) != 0)
        return 77;
    sched_getaffinity(0, sizeof(cpus), &cpus);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &cpus))
            CPU_SET(i, &one);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, work, &crowding[i]);
        pthread_setaffinity_np(threads[i], sizeof(one), &one);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    /* the last one is alone at the end, and forgets */
    const int crowded = (crowding[0] > 0.4) + (crowding[1] > 0.4) + (crowding[2] > 0.4);
    if (crowded < THREADS - 1) {
        printf("FAILED: %g %g %g\n", crowding[0], crowding[1], crowding[2]);
        failed = 1;
    }
    fflush(stdout); /* the tests load it as a library, which does not end here */
    return failed;
}
