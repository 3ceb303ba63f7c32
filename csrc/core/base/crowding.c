#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */
#include "crowding.h"

#ifdef __linux__

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* What was long ago counts for little: after this time with a core, or waiting for one, 1/e of it. */
#define MEMORY_NANOSECONDS 5e7

static _Thread_local struct {
    double ran, waited; /* nanoseconds */
    double crowding;
} seen;

/* The thread's nanoseconds on a core, and those in which it waited for one; false where nobody tells. */
static bool
read_schedule(double *ran, double *waited)
{
    char text[80], *end;
    const int file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return false;
    const ssize_t length = read(file, text, sizeof(text) - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    *ran = (double)strtoull(text, &end, 10);
    *waited = (double)strtoull(end, &end, 10);
    return *end == ' '; /* the number of turns follows */
}

double
bp_crowding(void)
{
    double ran, waited;

    if (!read_schedule(&ran, &waited))
        return 0;
    const double ready = ran - seen.ran + waited - seen.waited;
    if (ready > 0) {
        const double weight = ready < MEMORY_NANOSECONDS ? ready / MEMORY_NANOSECONDS : 1;
        seen.crowding += weight * ((waited - seen.waited) / ready - seen.crowding);
    }
    seen.ran = ran;
    seen.waited = waited;
    return seen.crowding;
}

#else

double
bp_crowding(void)
{
    return 0;
}

#endif
