#include "monitor.h"

/* The figure that is monitored */
static double
figure_of(const struct bp_population *p, size_t i, size_t epoch)
{
    const struct bp_monitor *own = &p->monitor;
    const double figure = bp_figure_of(p, own->figure, epoch)[i];

    return own->spread ? 1 - figure / own->spread[i] : figure;
}

bool
bp_ends_by_monitor(const struct bp_population *p, size_t i, size_t epoch, bool *better)
{
    const struct bp_monitor *own = &p->monitor;
    const uint64_t now = own->before + epoch + 1;

    own->epochs[i]++;
    *better = false;
    if (own->kept) {
        const double figure = figure_of(p, i, epoch);
        *better = (own->rises ? figure - own->best[i] : own->best[i] - figure) > own->least;
        if (*better) {
            own->best[i] = figure;
            own->best_epoch[i] = now;
        }
        if (now - own->best_epoch[i] >= own->patience)
            own->ended[i] = BP_OUT_OF_PATIENCE;
    }
    if (own->ended[i] == BP_GOES_ON && bp_figure_of(p, BP_LOSS, epoch)[i] <= own->target)
        own->ended[i] = BP_AT_TARGET;
    if (own->ended[i] == BP_GOES_ON)
        return false;
    p->members.active[i] = 0;
    return true;
}
