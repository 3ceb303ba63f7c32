/* status.h: what a function of the core returns: that all is well, or what went wrong. Depends on libc only. */
#ifndef BP_STATUS_H
#define BP_STATUS_H

enum bp_status {
    BP_OK,
    BP_NO_MEMORY,
    BP_TOO_LARGE,   /* a size does not fit into size_t */
    BP_NO_THREAD,   /* the system refused a thread */
    BP_INTERRUPTED, /* poll() asked to stop */
    BP_DIVERGED,    /* the loss or a weight stopped being finite */
    BP_FAILED,      /* a custom function, a stream or the way to other ranks did */
    BP_ELSEWHERE,   /* another rank ended the training */
};

#endif
