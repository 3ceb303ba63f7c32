#include "links.h"

#include "core/base/memory.h"

/* Beyond this many inputs, the general way is as fast. */
enum { MOST_INPUTS = 128 };

bool
bp_is_chain(const struct bp_network *net)
{
    for (size_t l = 0; l < net->count; l++)
        if (net->layers[l].outputs > net->kernels->panel)
            return false;
    return net->layers[0].inputs <= MOST_INPUTS;
}

static struct bp_link
link_of(const struct run *run, size_t l, bp_real *turned)
{
    const struct bp_network *net = run->asked->net;
    const struct bp_layer *layer = &net->layers[l];
    const struct bp_nodes *nodes = &run->ws.nodes[l];
    const struct bp_weights weights =
        bp_layer_weights(net, l, (struct bp_vector){run->vectors.parameters, true});
    struct bp_link link = {
        .inputs = layer->inputs,
        .outputs = layer->outputs,
        .activation = layer->activation,
        .w = weights.w,
        .turned = turned,
        .bias = weights.bias,
        .z = nodes->z,
        .a = nodes->a,
        .delta = nodes->delta,
    };

    for (size_t s = 0; s < BP_STATES && run->vectors.state[s]; s++) {
        const struct bp_weights state =
            bp_layer_weights(net, l, (struct bp_vector){run->vectors.state[s], true});
        link.w_state[s] = state.w;
        link.bias_state[s] = state.bias;
    }
    return link;
}

enum bp_status
bp_make_chain(const struct run *run, struct bp_chain *chain, void **memory)
{
    const struct bp_network *net = run->asked->net;
    const struct bp_workspace *ws = &run->ws;
    const size_t panel = net->kernels->panel, square = panel * panel;
    /* a square for each turned W first: it begins on a cache line */
    const size_t each =
        bp_size_sum(bp_size_product(square, net->kernels->size), sizeof(struct bp_link));
    bp_real *turned = bp_allocate(net->count, each);
    if (!turned)
        return BP_NO_MEMORY;
    struct bp_link *links = bp_at(net, turned, net->count * square);

    *memory = turned;
    *chain = (struct bp_chain){
        .count = net->count,
        .links = links,
        .loss = net->loss,
        .fused = net->fused,
        .x = ws->x,
        .y = ws->y,
        .stride = ws->stride,
        .of = {ws->losses, ws->classes, ws->wanted},
    };
    for (size_t l = 0; l < net->count; l++) {
        links[l] = link_of(run, l, l > 0 ? bp_at(net, turned, l * square) : NULL);
        if (links[l].outputs > chain->widest)
            chain->widest = links[l].outputs;
    }
    bp_turn_chain(net, chain);
    return BP_OK;
}

void
bp_turn_chain(const struct bp_network *net, const struct bp_chain *chain)
{
    const size_t panel = net->kernels->panel;

    for (size_t l = 1; l < chain->count; l++) {
        const struct bp_link *link = &chain->links[l];
        net->kernels->transpose(link->inputs, link->outputs, link->w, link->inputs * panel,
                                link->turned, panel * panel);
    }
}
