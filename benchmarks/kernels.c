/* kernels.c: single kernels of csrc/kernels, timed. Built and called by kernels.py; one thread.
 *
 * The products are cut into blocks as csrc/core/passes/update.c does it. Times are the processor's for this
 * thread, so that other programs disturb them little. */
#define _POSIX_C_SOURCE 200112L /* clock_gettime */
#include <stdlib.h>
#include <time.h>

#include "core/network/layout.h"
#include "core/base/memory.h"
#include "kernels/peak.h"
#include "core/base/team.h"
#include "core/passes/workspace.h"

enum { BLOCK = 256, FORWARD = 0, DELTA = 1, WEIGHT_GRADIENT = 2 };

struct work {
    const struct bp_kernels *kernels;
    int which;
    size_t batch, inputs, outputs;
    bp_real *w, *a, *delta, *out; /* as in the core; delta is turned round for DELTA */
    size_t w_stride, stride, turned_stride;
};

static double
seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bp_real *
at(const struct work *job, bp_real *base, size_t offset)
{
    return (char *)base + offset * job->kernels->size;
}

static void
product_in_blocks(const struct work *job, struct bp_product p)
{
    const size_t depth = p.depth, panel = job->kernels->panel;
    const size_t panels = (depth + panel - 1) / panel, blocks = (depth + BLOCK - 1) / BLOCK;

    for (size_t i = 0; i < blocks; i++) {
        size_t first, last;
        bp_share(panels, blocks, i, &first, &last);
        p.depth = (last * panel < depth ? last * panel : depth) - first * panel;
        job->kernels->product(&p);
        p.a = at(job, (bp_real *)p.a, (last - first) * p.a_stride);
        p.b = at(job, (bp_real *)p.b, p.depth * p.b_row);
        p.resume = true;
    }
}

static void
once(const struct work *job)
{
    const size_t panel = job->kernels->panel;

    if (job->which == FORWARD)
        product_in_blocks(job, (struct bp_product){
                                   .rows = job->batch,
                                   .columns = job->outputs,
                                   .depth = job->inputs,
                                   .a = job->a,
                                   .a_row = panel,
                                   .a_stride = job->stride,
                                   .b = job->w,
                                   .b_row = panel,
                                   .b_stride = job->w_stride,
                                   .c = job->out,
                                   .c_stride = job->stride,
                               });
    else if (job->which == WEIGHT_GRADIENT)
        job->kernels->outer(&(struct bp_outer){
            .rows = job->inputs,
            .columns = job->outputs,
            .depth = job->batch,
            .a = job->a,
            .a_stride = job->stride,
            .delta = job->delta,
            .delta_stride = job->stride,
            .c = job->w,
            .c_row = panel,
            .c_stride = job->w_stride,
            .add = true,
        });
    else
        for (size_t k = 0; k < job->inputs; k += BP_CHUNK_ROWS)
            product_in_blocks(job, (struct bp_product){
                                       .rows = job->inputs - k < BP_CHUNK_ROWS ? job->inputs - k
                                                                               : BP_CHUNK_ROWS,
                                       .columns = job->batch,
                                       .depth = job->outputs,
                                       .a = at(job, job->w, k * panel),
                                       .a_row = panel,
                                       .a_stride = job->w_stride,
                                       .b = job->delta,
                                       .b_row = panel,
                                       .b_stride = job->turned_stride,
                                       .c = at(job, job->out, k * panel),
                                       .c_stride = job->turned_stride,
                                   });
}

static bp_real *
numbers(const struct bp_kernels *kernels, size_t count, double scale)
{
    bp_real *memory = bp_allocate(count, kernels->size);
    for (size_t i = 0; memory && i < count; i++) {
        const double x = scale * (rand() / (0.5 * RAND_MAX) - 1);
        if (kernels->dtype == BP_FLOAT32)
            ((float *)memory)[i] = (float)x;
        else
            ((double *)memory)[i] = x;
    }
    return memory;
}

__attribute__((visibility("default"))) const struct bp_kernels *
find_kernels(int dtype, const char *isa)
{
    return bp_select_kernels((enum bp_dtype)dtype, isa);
}

__attribute__((visibility("default"))) double
time_peak(const struct bp_kernels *kernels, double seconds)
{
    return bp_fma_peak(kernels, seconds);
}

/* Seconds a call, the mean of calls that take at least `seconds`; negative where memory ran out. */
__attribute__((visibility("default"))) double
time_product(const struct bp_kernels *kernels, int which, size_t batch, size_t inputs,
             size_t outputs, double seconds)
{
    const struct bp_network net = {.kernels = kernels};
    struct work job = {kernels, which, batch, inputs, outputs, .stride = bp_padded(batch),
                       .w_stride = bp_padded(inputs),
                       .turned_stride = bp_padded(inputs > outputs ? inputs : outputs)};
    const size_t columns = bp_panels(&net, inputs) + bp_panels(&net, outputs);
    job.w_stride *= kernels->panel;
    job.stride *= kernels->panel;
    job.turned_stride *= kernels->panel;
    const size_t turned = bp_panels(&net, batch) * job.turned_stride;
    job.w = numbers(kernels, bp_panels(&net, outputs) * job.w_stride, 0.1);
    job.a = numbers(kernels, columns * job.stride, 0.1);
    job.delta = numbers(kernels, columns * job.stride + turned, 1e-6);
    job.out = numbers(kernels, columns * job.stride + turned, 0);
    double took = -1, mean = -1;
    if (job.w && job.a && job.delta && job.out) {
        once(&job);
        for (size_t calls = 1; took < seconds; calls *= 2) {
            const double begin = seconds_now();
            for (size_t i = 0; i < calls; i++)
                once(&job);
            took = seconds_now() - begin;
            mean = took / (double)calls;
        }
    }
    bp_free(job.w);
    bp_free(job.a);
    bp_free(job.delta);
    bp_free(job.out);
    return mean;
}

/* Seconds a number of activate, or of derivative with a factor, on `count` of them. */
__attribute__((visibility("default"))) double
time_activation(const struct bp_kernels *kernels, int activation, bool derivative, size_t count,
                double seconds)
{
    const enum bp_activation g = (enum bp_activation)activation;
    bp_real *z = numbers(kernels, count, 4), *a = numbers(kernels, count, 4);
    bp_real *out = numbers(kernels, count, 4);
    double took = -1, mean = -1;
    if (z && a && out) {
        kernels->activate(g, count, z, a);
        for (size_t calls = 1; took < seconds; calls *= 2) {
            const double begin = seconds_now();
            for (size_t i = 0; i < calls; i++) {
                if (derivative)
                    kernels->derivative(g, count, z, a, z, out);
                else
                    kernels->activate(g, count, z, out);
            }
            took = seconds_now() - begin;
            mean = took / (double)(calls * count);
        }
    }
    bp_free(z);
    bp_free(a);
    bp_free(out);
    return mean;
}
