/* In place of csrc/core/train/pace.c: any number of threads at any step, so that threads join and leave a
 * training all the time. */
#include "core/train/pace.h"

/* 0 ... count - 1 */
static size_t
draw(struct bp_pace *pace, size_t count)
{
    pace->level = pace->level * 6364136223846793005u + 1442695040888963407u;
    return (pace->level >> 33) % count;
}

static void
choose(struct bp_pace *pace)
{
    pace->threads = 1 + draw(pace, pace->most);
    pace->steps = 1 + draw(pace, 3);
}

void
bp_pace_begin(struct bp_pace *pace, size_t most, size_t first)
{
    *pace = (struct bp_pace){.most = most, .level = most + first};
    choose(pace);
}

void
bp_pace_next(struct bp_pace *pace, struct bp_pace_window last, double left)
{
    (void)last;
    (void)left;
    choose(pace);
}
