#include "from_bytes.h"

#include "core/network/freedom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t bytes_of[BP_NUMBERS] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8};

/* around vectors, panels, chunks of a gradient and blocks of a product */
static const size_t widths[] = {1,  2,  3,  4,  5,  7,  8,   9,   12,  15,  16,  17,
                                24, 31, 32, 33, 48, 63, 65, 100, 128, 129, 256, 300};

enum { MOST_LAYERS = 4, MOST_PARAMETERS = 20000 };

size_t
draw(struct bytes *bytes, size_t low, size_t high)
{
    const size_t byte = bytes->at < bytes->end ? *bytes->at++ : 0;
    return low + byte % (high - low + 1);
}

uint64_t
mix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void *
room(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (!memory)
        abort();
    return memory;
}

static uint64_t
draw_seed(struct bytes *bytes)
{
    const size_t low = draw(bytes, 0, 255);
    return low + 256 * draw(bytes, 0, 255);
}

/* A number in [-1, 1), or now and then, where `wild`, one that arithmetic trips over. */
static double
number(uint64_t *seed, bool wild)
{
    static const double odd[] = {0, -0.0, NAN, INFINITY, -INFINITY, 1e-40, 1e-310, 1e30, -1e300, 1};
    const uint64_t bits = mix(seed);
    if (wild && bits % 16 == 0)
        return odd[bits / 16 % (sizeof(odd) / sizeof(*odd))];
    return (double)(bits >> 11) * 0x1p-52 - 1;
}

static void
store(const struct bp_network *net, bp_real *numbers, size_t i, double x)
{
    if (net->kernels->dtype == BP_FLOAT32)
        ((float *)numbers)[i] = (float)x;
    else
        ((double *)numbers)[i] = x;
}

static double
fetch(const struct bp_network *net, const bp_real *numbers, size_t i)
{
    return net->kernels->dtype == BP_FLOAT32 ? (double)((const float *)numbers)[i]
                                             : ((const double *)numbers)[i];
}

/* custom functions: z² / 4, and Σ (a - y)^4 / 4 */

static double
square(double z, double unused)
{
    (void)unused;
    return z * z / 4;
}

static double
square_slope(double z, double factor)
{
    return z / 2 * factor;
}

static double
fourth_power_slope(double a, double y)
{
    return (a - y) * (a - y) * (a - y);
}

static void
each_entry(struct drawn_network *drawn, double (*f)(double, double), size_t rows, size_t columns,
           const bp_real *a, const bp_real *b, bp_real *out, size_t stride)
{
    const struct bp_network *net = &drawn->net;
    const size_t panel = net->kernels->panel;

    if (atomic_fetch_sub(&drawn->patience, 1) <= 0)
        atomic_store(&drawn->failed, true);
    for (size_t q = 0; q * panel < columns; q++)
        for (size_t i = 0; i < rows * panel; i++) {
            const size_t at = q * stride + i;
            const bool pad = q * panel + i % panel >= columns;
            store(net, out, at, pad ? 0 : f(fetch(net, a, at), b ? fetch(net, b, at) : 1));
        }
}

static void
custom_g(void *context, const struct bp_kernels *kernels, size_t rows, size_t columns,
         const bp_real *z, bp_real *out, size_t stride)
{
    (void)kernels;
    each_entry(context, square, rows, columns, z, NULL, out, stride);
}

static void
custom_g_prime(void *context, const struct bp_kernels *kernels, size_t rows, size_t columns,
               const bp_real *z, const bp_real *factor, bp_real *out, size_t stride)
{
    (void)kernels;
    each_entry(context, square_slope, rows, columns, z, factor, out, stride);
}

static void
custom_value(void *context, const struct bp_kernels *kernels, size_t rows, size_t columns,
             const bp_real *a, const bp_real *y, size_t stride, double *losses)
{
    struct drawn_network *drawn = context;
    const size_t panel = kernels->panel;

    if (atomic_fetch_sub(&drawn->patience, 1) <= 0)
        atomic_store(&drawn->failed, true);
    for (size_t n = 0; n < rows; n++) {
        losses[n] = 0;
        for (size_t j = 0; j < columns; j++) {
            const size_t at = j / panel * stride + n * panel + j % panel;
            const double d = fetch(&drawn->net, a, at) - fetch(&drawn->net, y, at);
            losses[n] += d * d * d * d / 4;
        }
    }
}

static void
custom_derivative(void *context, const struct bp_kernels *kernels, size_t rows, size_t columns,
                  const bp_real *a, const bp_real *y, bp_real *out, size_t stride)
{
    (void)kernels;
    each_entry(context, fourth_power_slope, rows, columns, a, y, out, stride);
}

static const struct bp_kernels *
draw_kernels(struct bytes *bytes)
{
    const struct bp_kernels *const *table = bp_kernel_candidates(draw(bytes, 0, 1));
    for (size_t i = draw(bytes, 0, 2); i > 0 && table[1]; i--)
        table++;
    return *table;
}

static void
draw_layer(struct bytes *bytes, struct drawn_network *drawn, size_t l)
{
    const size_t flags = draw(bytes, 0, 255);
    struct bp_layer *layer = &drawn->net.layers[l];
    layer->freedom = (struct bp_freedom){.rate = 1, .bias_rate = 1};

    layer->inputs = l > 0 ? layer[-1].outputs : widths[draw(bytes, 0, sizeof(widths) / sizeof(*widths) - 1)];
    layer->outputs = widths[draw(bytes, 0, sizeof(widths) / sizeof(*widths) - 1)];
    layer->activation = draw(bytes, 0, BP_ACTIVATIONS - 1);
    layer->bias = (flags & 1) == 0;
    layer->l1 = flags & 2 ? 0.01 : 0;
    layer->l2 = flags & 4 ? 0.01 : 0;
    layer->dropout = flags & 8 && flags & 16 ? 0.5 : 0;
    if ((flags & 0xe0) == 0xe0) {
        drawn->activation = (struct bp_custom_activation){custom_g, custom_g_prime, drawn};
        layer->custom = &drawn->activation;
    }
}

/* Masks, and layers that are frozen or slow: of one network in four. */
static void
draw_freedom(struct bytes *bytes, struct drawn_network *drawn, uint64_t seed)
{
    static const double rates[] = {1, 0, 0.5, 2};
    struct bp_network *net = &drawn->net;

    if (draw(bytes, 0, 3) != 3)
        return;
    for (size_t l = 0; l < net->count; l++) {
        struct bp_layer *layer = &net->layers[l];
        const size_t weights = layer->inputs * layer->outputs, flags = draw(bytes, 0, 31);
        layer->freedom.rate = rates[flags & 3];
        layer->freedom.bias_rate = rates[flags >> 2 & 3];
        if (flags < 16)
            continue;
        layer->freedom.mask = room(weights);
        for (size_t i = 0; i < weights; i++)
            layer->freedom.mask[i] = mix(&seed) % 3 > 0;
    }
    bp_note_freedom(net);
    bp_mask_vector(net, (struct bp_vector){drawn->parameters, false});
}

struct drawn_network *
draw_network(struct bytes *bytes)
{
    struct drawn_network *drawn = room(sizeof(*drawn));
    *drawn = (struct drawn_network){0};
    struct bp_network *net = &drawn->net;

    net->kernels = draw_kernels(bytes);
    net->failed = &drawn->failed;
    atomic_init(&drawn->failed, false);
    net->count = draw(bytes, 1, MOST_LAYERS);
    net->layers = room(net->count * sizeof(*net->layers));
    memset(net->layers, 0, net->count * sizeof(*net->layers));
    for (size_t l = 0; l < net->count; l++)
        draw_layer(bytes, drawn, l);
    const size_t loss = draw(bytes, 0, BP_LOSSES);
    if (loss == BP_LOSSES) {
        drawn->loss = (struct bp_custom_loss){custom_value, custom_derivative, drawn};
        net->custom_loss = &drawn->loss;
    }
    else
        net->loss = loss;
    const size_t patience = draw(bytes, 0, 255);
    atomic_init(&drawn->patience, patience < 64 ? (int)patience : 1 << 30);

    if (bp_network_lay_out(net) != BP_OK || net->parameters > MOST_PARAMETERS) {
        drop_network(drawn);
        return NULL;
    }
    uint64_t seed = draw_seed(bytes);
    const bool wild = draw(bytes, 0, 15) == 15;
    drawn->parameters = room(bp_room(net) * net->kernels->size);
    memset(drawn->parameters, 0, bp_room(net) * net->kernels->size);
    for (size_t i = 0; i < net->parameters; i++)
        store(net, drawn->parameters, i, number(&seed, wild));
    draw_freedom(bytes, drawn, seed);
    return drawn;
}

void
drop_network(struct drawn_network *drawn)
{
    for (size_t l = 0; l < drawn->net.count; l++)
        free(drawn->net.layers[l].freedom.mask);
    free(drawn->net.layers);
    free(drawn->parameters);
    free(drawn);
}

/* One number of that type, its bytes the other way round where the array's are. */
static void
store_number(const struct bp_array *array, char *at, double x, uint64_t bits)
{
    const size_t size = bytes_of[array->type];
    unsigned char bytes[8];
    const float single = (float)x;

    memcpy(bytes, &bits, sizeof(bits));
    if (array->type == BP_FLOAT)
        memcpy(bytes, &single, sizeof(single));
    else if (array->type == BP_DOUBLE)
        memcpy(bytes, &x, sizeof(x));
    for (size_t i = 0; i < size; i++)
        at[i] = (char)bytes[array->swapped ? size - 1 - i : i];
}

/* An array of that type and shape; bits below `below` for integers, unless that is 0. */
static void *
draw_array(struct bytes *bytes, enum bp_number type, size_t rows, size_t columns, size_t below,
           struct bp_array *array)
{
    static const ptrdiff_t steps[] = {1, 1, 1, 2, -1, 0, 3, -2};
    const size_t layout = draw(bytes, 0, 255), more = draw(bytes, 0, 255);
    const ptrdiff_t size = (ptrdiff_t)bytes_of[type];
    ptrdiff_t column = size * steps[layout % 8], row = column * (ptrdiff_t)columns;
    if (layout & 8)
        row = size * steps[layout / 16 % 8] * (ptrdiff_t)columns;
    if (layout & 128) /* by columns */
        row = column, column *= (ptrdiff_t)rows;
    row += more % 4 == 3 ? 1 : 0;
    column += more / 4 % 4 == 3 ? 1 : 0;

    const ptrdiff_t down = row * (ptrdiff_t)(rows - 1), across = column * (ptrdiff_t)(columns - 1);
    const ptrdiff_t shift = more / 16 % 4 == 3 ? 1 : 0; /* unaligned */
    const ptrdiff_t before = (down < 0 ? -down : 0) + (across < 0 ? -across : 0) + shift;
    const ptrdiff_t after = (down > 0 ? down : 0) + (across > 0 ? across : 0) + size;
    char *memory = room((size_t)(before + after));
    memset(memory, 0, (size_t)(before + after));
    *array = (struct bp_array){
        .data = memory + before,
        .row_stride = row,
        .column_stride = column,
        .rows = rows,
        .columns = columns,
        .type = type,
        .swapped = more / 64 % 2,
    };
    uint64_t seed = draw_seed(bytes);
    const bool wild = more / 128 && below == 0;
    for (size_t n = 0; n < rows; n++)
        for (size_t k = 0; k < columns; k++) {
            const double x = number(&seed, wild);
            const uint64_t bits = mix(&seed);
            const uint64_t whole = below > 0 ? bits % below : wild ? bits : bits & 0x3bff;
            store_number(array, memory + before + (ptrdiff_t)n * row + (ptrdiff_t)k * column, x,
                         whole);
        }
    return memory;
}

bool
draw_data(struct bytes *bytes, const struct bp_network *net, struct drawn_data *drawn)
{
    const size_t rows = draw(bytes, 1, 40), outputs = net->layers[net->count - 1].outputs;
    const size_t flags = draw(bytes, 0, 255);
    struct bp_data *data = &drawn->data;
    int64_t wrong;

    *drawn = (struct drawn_data){0};
    drawn->memory[0] = draw_array(bytes, draw(bytes, 0, BP_NUMBERS - 1), rows,
                                  net->layers[0].inputs, 0, &data->x);
    data->labels = flags & 1 && outputs > 1;
    if (data->labels)
        drawn->memory[1] =
            draw_array(bytes, draw(bytes, BP_BOOL, BP_UINT64), rows, 1, outputs < 128 ? outputs : 128, &data->y);
    else
        drawn->memory[1] =
            draw_array(bytes, draw(bytes, 0, BP_NUMBERS - 1), rows, outputs, 0, &data->y);
    if (flags & 2) {
        double *weights = room(rows * sizeof(*weights));
        for (size_t n = 0; n < rows; n++)
            weights[n] = n == 0 ? 1 : (double)((n * flags) % 5) / 2;
        drawn->memory[2] = weights;
        data->weights = weights;
    }
    if ((flags & 12) == 12 && !data->labels && !net->custom_loss)
        drawn->memory[3] = draw_array(bytes, BP_BOOL, rows, outputs, 2, &data->mask);
    if (data->labels && !bp_labels_valid(&data->y, outputs, &wrong)) {
        drop_data(drawn);
        return false;
    }
    return true;
}

void
drop_data(struct drawn_data *drawn)
{
    for (int i = 0; i < 4; i++)
        free(drawn->memory[i]);
}

struct bp_optimizer
draw_optimizer(struct bytes *bytes, const struct bp_network *net)
{
    static const double rates[] = {0.1, 0.01, 1, 30, 1e-4, 1e20};
    const size_t flags = draw(bytes, 0, 255);
    struct bp_optimizer o = {
        .rule = draw(bytes, 0, 2) > 0 ? BP_SGD : draw(bytes, 0, BP_RULES - 1),
        .rate = rates[draw(bytes, 0, sizeof(rates) / sizeof(*rates) - 1)],
        .momentum = flags & 1 ? 0.9 : 0,
        .nesterov = (flags & 3) == 3,
        .decay = flags & 4 ? 0.01 : 0,
        .beta_1 = 0.9,
        .beta_2 = 0.999,
        .epsilon = 1e-8,
        .clip_norm = (flags & 24) == 24 ? 0.5 : INFINITY,
        .clip_value = (flags & 24) == 8 ? 0.1 : INFINITY,
        .steps = flags / 64,
    };
    for (size_t s = 0; s < bp_state_count(&o); s++) {
        o.state[s] = room(bp_room(net) * net->kernels->size);
        memset(o.state[s], 0, bp_room(net) * net->kernels->size);
    }
    return o;
}

void
drop_optimizer(struct bp_optimizer *o)
{
    for (size_t s = 0; s < BP_STATES; s++)
        free(o->state[s]);
}
