/* What a session is asked: a trace, a step, epochs of training, outputs and figures. Depends on session.h. */
#include <math.h>

#include "core/evaluate/outputs.h"
#include "core/evaluate/trace.h"
#include "core/network/functions.h"
#include "core/passes/alone.h"
#include "core/train/step.h"
#include "core/train/train.h"
#include "session.h"

/* Rows evaluated together. */
enum { AT_A_TIME = 64 };

/* The rows from `first` on, `count` of them, as samples of their own. */
static struct bp_data
rows_of(const struct bp_session *self, size_t set, size_t first, size_t count)
{
    struct bp_data data = self->data[set];
    data.x.data += (ptrdiff_t)first * data.x.row_stride;
    data.y.data += (ptrdiff_t)first * data.y.row_stride;
    data.x.rows = data.y.rows = count;
    return data;
}

/* z, a, dC_da, da_dz, dC_dz of each layer, one after the other, for one sample; NULL without memory. */
BP_EXPORT(trace) const bp_real *bp_session_trace(struct bp_session *self, size_t set, size_t sample)
{
    const struct bp_data data = rows_of(self, set, sample, 1);

    if (bp_workspace_lay_out(&self->ws, &self->net, 1, 1, BP_KEEP_Z) != BP_OK)
        return NULL;
    bp_trace(&self->net, &self->ws, self->parameters, &data, true, self->trace);
    return self->traced;
}

/* One step for samples first ... first + count - 1 of the training set as one batch. *loss is C before it. */
BP_EXPORT(step)
enum bp_status bp_session_step(struct bp_session *self, size_t first, size_t count, double *loss)
{
    const struct bp_data data = rows_of(self, BP_TRAIN_SET, first, count);
    const enum bp_status status = bp_workspace_lay_out(&self->ws, &self->net, count, 1, 0);

    if (status == BP_OK)
        *loss = bp_step(&self->net, &self->ws, self->parameters, &data, &self->optimizer,
                        self->gradient, NULL, NULL);
    return status;
}

/* Epochs through the training set, shuffled before each. record: (epochs, BP_FIGURES). */
BP_EXPORT(train)
enum bp_status bp_session_train(struct bp_session *self, size_t epochs, size_t batch, double *record)
{
    const struct bp_random random = {.next = bp_pcg_next, .state = &self->generator};
    const struct bp_training training = {
        .net = &self->net,
        .parameters = self->parameters,
        .optimizer = &self->optimizer,
        .data = self->data[BP_TRAIN_SET],
        .random = &random,
        .record = record,
        .settings = {.epochs = epochs,
                     .batch = batch,
                     .threads = 1,
                     .shuffle = true,
                     .budget = (double)INFINITY},
    };
    struct bp_trained trained = {0};
    return bp_train(&training, &trained);
}

/* a of the output layer for n rows of x, which are the caller's, into outputs (n, outputs), in the network's precision. */
BP_EXPORT(outputs)
enum bp_status bp_session_outputs(struct bp_session *self, size_t n, const double *x,
                                  bp_real *outputs)
{
    struct bp_data data = {.x = self->data[BP_TRAIN_SET].x};
    struct bp_results results = {.outputs = outputs};
    const enum bp_status status =
        bp_workspace_lay_out(&self->ws, &self->net, AT_A_TIME, 1, BP_FORWARD_ONLY);

    data.x.data = (const char *)x;
    data.x.rows = n;
    if (status == BP_OK) {
        struct bp_pass pass = bp_pass_alone(&self->net, &self->ws, self->parameters, &data);
        bp_evaluate(&pass, &data, false, &results);
    }
    return status;
}

/* Of samples first ... first + count - 1 of a set: C, and the share whose class is right, NaN where outputs stand for no
 * classes; NULL without memory. */
BP_EXPORT(measure)
const double *bp_session_measure(struct bp_session *self, size_t set, size_t first, size_t count)
{
    const struct bp_data data = rows_of(self, set, first, count);
    struct bp_results results = {0};

    if (bp_workspace_lay_out(&self->ws, &self->net, AT_A_TIME, 1, 0) != BP_OK)
        return NULL;
    struct bp_pass pass = bp_pass_alone(&self->net, &self->ws, self->parameters, &data);
    bp_evaluate(&pass, &data, true, &results);
    self->figures[0] = results.total / results.weight;
    self->figures[1] = bp_has_classes(&self->net, data.labels)
                           ? (double)results.right / (double)results.samples
                           : (double)NAN;
    return self->figures;
}

/* a of every layer for n rows of x, which are the caller's, layer by layer, (n, nodes) each, in the network's precision. */
BP_EXPORT(activations)
enum bp_status bp_session_activations(struct bp_session *self, size_t n, const double *x,
                                      bp_real *activations)
{
    const struct bp_network *net = &self->net;
    struct bp_workspace *ws = &self->ws;
    struct bp_data data = {.x = self->data[BP_TRAIN_SET].x};
    const enum bp_status status = bp_workspace_lay_out(ws, net, AT_A_TIME, 1, 0);

    if (status != BP_OK)
        return status;
    data.x.data = (const char *)x;
    data.x.rows = n;
    struct bp_pass pass = bp_pass_alone(net, ws, self->parameters, &data);
    for (size_t first = 0; first < n; first += pass.rows) {
        const struct bp_rows rows = {NULL, first, bp_rows_at_a_time(&data, first, ws)};
        pass.rows = rows.count;
        bp_load_batch(&pass, &data, &rows, false);
        bp_forward(&pass);
        for (size_t l = 0, at = 0; l < net->count; l++) {
            const size_t nodes = net->layers[l].outputs;
            bp_read_panels(net, pass.rows, nodes, ws->nodes[l].a, ws->stride,
                           bp_at(net, activations, at + first * nodes), nodes);
            at += n * nodes;
        }
    }
    return BP_OK;
}
