/* poll.h: how a caller is asked whether to stop. Depends on libc only. */
#ifndef BP_POLL_H
#define BP_POLL_H

#include <stdbool.h>

/* Called on the caller's thread every few milliseconds; true asks to stop. NULL: never. */
struct bp_poll {
    bool (*ask)(void *context);
    void *context;
};

#endif
