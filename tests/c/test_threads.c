/* test_threads: every way of training and evaluating that divides its work among threads, on samples enough
 * that it does. The bits of several threads are those of one; ranks, each a thread that has threads
 * of its own, end with the same bits. For ThreadSanitizer above all: test_core.c has at most 40 samples.
 *
 * .ci/core-checks builds and runs it; from_bytes.c has what it draws with. */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/evaluate/many.h"
#include "core/population/train_population.h"
#include "core/train/train.h"
#include "from_bytes.h"
#include "kernels/isa/bf16.h"

enum { LAYERS = 3, EPOCHS = 2, MEMBERS = 5, MOST_RANKS = 3, TEAMS = 3, BLOCK = 70 };

enum {
    SHUFFLE = 1,
    DROPOUT = 2,
    NORMS = 4,
    MIXED = 8,
    SPARSE = 16,
    LAZY = 32,
    STREAM = 64,
    WHOLE = 128, /* each block of the stream is a batch */
    MASKED = 256, /* weights are, and a layer is slow */
    VALIDATION = 512,
    SHARDED = 1024,
    SHARED = 2048, /* memory in common */
    SINGLE = 4096, /* float32 */
    BLOCKS = 8192, /* a layer is owned in blocks: teams of 4 and of 16 in the place of 2 and 3 */
};

struct way {
    const char *name;
    size_t sizes[LAYERS + 1], rows, batch;
    enum bp_rule rule;
    unsigned flags;
    size_t ranks, average_every;
};

static const struct way ways[] = {
    {"chain", {4, 6, 6, 2}, 90, 1, BP_SGD, SHUFFLE, 0, 0},
    {"a sample a step", {40, 70, 33, 9}, 30, 1, BP_SGD, SHUFFLE, 0, 0},
    {"batches", {70, 50, 40, 9}, 150, 32, BP_ADAM, SHUFFLE | VALIDATION, 0, 0},
    {"all of the gradient", {70, 50, 40, 9}, 150, 32, BP_SGD, SHUFFLE | NORMS | DROPOUT, 0, 0},
    {"masks and rates", {70, 50, 40, 9}, 150, 32, BP_ADAM, MASKED, 0, 0},
    {"groups of rows", {30, 20, 16, 5}, 1300, 600, BP_ADAM, SHUFFLE | DROPOUT, 0, 0},
    {"lanes", {20, 16, 9, 4}, 1300, 600, BP_ADAM, SHUFFLE | VALIDATION, 0, 0},
    {"lanes, plain", {20, 16, 9, 4}, 1300, 1300, BP_SGD, SINGLE | NORMS, 0, 0},
    {"groups of blocks", {50, 40, 20, 5}, 2500, 1100, BP_ADAM, SHUFFLE | DROPOUT | VALIDATION, 0, 0},
    {"groups of blocks, masks and rates", {50, 40, 20, 5}, 1200, 1200, BP_SGD, MASKED | NORMS, 0, 0},
    {"bfloat16", {70, 50, 40, 9}, 150, 32, BP_ADAM, SHUFFLE | MIXED | SINGLE | VALIDATION, 0, 0},
    {"sparse", {300, 40, 20, 5}, 150, 32, BP_SGD, SPARSE | SHUFFLE, 0, 0},
    {"sparse, Adam", {300, 40, 20, 5}, 150, 32, BP_ADAM, SPARSE | SHUFFLE | SINGLE, 0, 0},
    {"sparse, lazy", {300, 40, 20, 5}, 150, 32, BP_ADAM, SPARSE | LAZY | SHUFFLE, 0, 0},
    {"sparse, narrow", {30, 20, 16, 5}, 1300, 600, BP_ADAM, SPARSE | SHUFFLE, 0, 0},
    {"blocks", {9, 1024, 1051, 5}, 50, 5, BP_ADAM, BLOCKS | SINGLE | SHUFFLE | DROPOUT | VALIDATION, 0, 0},
    {"blocks, all of the gradient", {9, 1037, 1024, 5}, 40, 8, BP_SGD, BLOCKS | NORMS, 0, 0},
    {"blocks, a sample a step", {9, 1061, 1051, 5}, 12, 1, BP_SGD, BLOCKS | SINGLE, 0, 0},
    {"stream", {70, 50, 40, 9}, 150, 32, BP_ADAM, STREAM | SHUFFLE, 0, 0},
    {"stream of batches", {70, 50, 40, 9}, 150, 32, BP_ADAM, STREAM | WHOLE, 0, 0},
    {"sparse stream", {300, 40, 20, 5}, 150, 32, BP_ADAM, STREAM | SPARSE | LAZY, 0, 0},
    {"ranks", {70, 50, 40, 9}, 150, 32, BP_ADAM, SHUFFLE | DROPOUT | VALIDATION, 3, 0},
    {"ranks, blocks", {9, 1024, 1051, 5}, 30, 10, BP_ADAM, BLOCKS | SINGLE, 2, 0},
    {"ranks, bfloat16", {70, 50, 40, 9}, 150, 32, BP_SGD, MIXED | SINGLE, 2, 0},
    {"ranks, sparse", {300, 40, 20, 5}, 150, 32, BP_ADAM, SPARSE, 2, 0},
    {"ranks with rows in common", {70, 50, 40, 9}, 150, 32, BP_ADAM, SHARED | SHUFFLE, 3, 0},
    {"ranks with gradients in common", {9, 5, 5, 2}, 600, 300, BP_SGD, SHARED | MASKED, 3, 0},
    {"ranks that average", {70, 50, 40, 9}, 150, 32, BP_ADAM, SHUFFLE | MASKED, 3, 1},
    {"ranks that average, narrow", {30, 20, 16, 5}, 1300, 600, BP_ADAM, DROPOUT, 2, 2},
    {"streams that average", {70, 50, 40, 9}, 150, 32, BP_ADAM, STREAM | SHARDED, 3, 2},
    {"sparse ranks that average", {300, 40, 20, 5}, 150, 32, BP_ADAM, SPARSE | LAZY, 2, 1},
};

/* a network, samples, and what both are made of */
struct world {
    struct bp_network net;
    struct bp_layer layers[LAYERS];
    struct bp_data data;
    void *memory[8];
    size_t kept;
};

static void
require(bool condition, const char *name, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", name, what);
    abort();
}

static void *
keep(struct world *world, size_t size)
{
    return world->memory[world->kept++] = room(size);
}

static double
number(uint64_t *seed)
{
    return (double)(mix(seed) >> 11) * 0x1p-52 - 1;
}

static void
fill(const struct bp_network *net, bp_real *numbers, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        if (net->kernels->dtype == BP_FLOAT32)
            ((float *)numbers)[i] = (float)number(&seed) / 4;
        else
            ((double *)numbers)[i] = number(&seed) / 4;
}

static void
make_network(struct world *world, const struct way *way)
{
    struct bp_network *net = &world->net;
    uint64_t seed = 3;

    *net = (struct bp_network){
        .kernels = bp_kernel_candidates(way->flags & SINGLE ? BP_FLOAT32 : BP_FLOAT64)[0],
        .loss = BP_SQUARED_ERROR,
        .count = LAYERS,
        .layers = world->layers,
    };
    for (size_t l = 0; l < LAYERS; l++) {
        struct bp_layer *layer = &world->layers[l];
        *layer = (struct bp_layer){
            .inputs = way->sizes[l],
            .outputs = way->sizes[l + 1],
            .bias = true,
            .activation = l + 1 < LAYERS ? BP_TANH : BP_SIGMOID,
            .dropout = way->flags & DROPOUT && l == 0 ? 0.25 : 0,
            .freedom = {.rate = 1, .bias_rate = 1},
        };
        if (way->flags & MASKED && l < 2) {
            const size_t count = layer->inputs * layer->outputs;
            layer->freedom.rate = l == 0 ? 0.5 : 0;
            layer->freedom.mask = keep(world, count);
            for (size_t i = 0; i < count; i++)
                layer->freedom.mask[i] = mix(&seed) % 3 > 0;
        }
    }
    require(bp_network_lay_out(net) == BP_OK, way->name, "no layout");
}

static struct bp_array
dense(struct world *world, size_t rows, size_t columns, uint64_t seed)
{
    double *numbers = keep(world, rows * columns * sizeof(*numbers));

    for (size_t i = 0; i < rows * columns; i++)
        numbers[i] = number(&seed);
    return (struct bp_array){
        .data = (const char *)numbers,
        .row_stride = (ptrdiff_t)(columns * sizeof(*numbers)),
        .column_stride = sizeof(*numbers),
        .rows = rows,
        .columns = columns,
        .type = BP_DOUBLE,
    };
}

/* every seventh number, about; the others are zeros */
static struct bp_array
sparse(struct world *world, size_t rows, size_t columns, uint64_t seed)
{
    double *numbers = keep(world, rows * columns * sizeof(*numbers));
    int32_t *k = keep(world, rows * columns * sizeof(*k));
    int32_t *begins = keep(world, (rows + 1) * sizeof(*begins)), count = 0;

    for (size_t n = 0; n < rows; n++) {
        begins[n] = count;
        for (size_t i = 0; i < columns; i++)
            if (mix(&seed) % 7 == 0) {
                numbers[count] = number(&seed);
                k[count++] = (int32_t)i;
            }
    }
    begins[rows] = count;
    return (struct bp_array){
        .data = (const char *)numbers,
        .column_stride = sizeof(*numbers),
        .rows = rows,
        .columns = columns,
        .type = BP_DOUBLE,
        .csr = {.begins = begins, .k = k, .count = (size_t)count},
    };
}

static void
make_world(struct world *world, const struct way *way)
{
    *world = (struct world){0};
    make_network(world, way);
    world->data.x = (way->flags & SPARSE ? sparse : dense)(world, way->rows, way->sizes[0], 1);
    world->data.y = dense(world, way->rows, way->sizes[LAYERS], 2);
}

static void
drop_world(struct world *world)
{
    for (size_t i = 0; i < world->kept; i++)
        free(world->memory[i]);
}

static uint32_t
next_random(void *state)
{
    return (uint32_t)mix(state);
}

struct blocks {
    const struct bp_data *data;
    size_t first, rows; /* of this rank */
};

static bool
next_block(void *context, struct bp_data *data)
{
    struct blocks *blocks = context;
    const size_t left = blocks->rows - blocks->first, count = left < BLOCK ? left : BLOCK;

    *data = *blocks->data;
    data->x = bp_part_of(&data->x, blocks->first, count);
    data->y = bp_part_of(&data->y, blocks->first, count);
    blocks->first = count == 0 ? 0 : blocks->first + count;
    return true;
}

/* what ranks have in common, and one of them */
struct together {
    size_t count;
    pthread_barrier_t barrier;
    void *numbers[MOST_RANKS];
    void *shared;
};

struct rank {
    struct together *together;
    const struct way *way;
    const struct world *world;
    size_t me, threads;
    enum bp_status status;
    bp_real *parameters, *state[BP_STATES];
    double record[EPOCHS * BP_FIGURES];
};

static bool
meet(void *context)
{
    pthread_barrier_wait(&((struct rank *)context)->together->barrier);
    return true;
}

static bool
reduce(void *context, enum bp_dtype dtype, size_t count, void *numbers)
{
    struct rank *rank = context;
    struct together *all = rank->together;
    const size_t size = dtype == BP_FLOAT32 ? sizeof(float) : sizeof(double);
    void *sums = room(count * size);

    all->numbers[rank->me] = numbers;
    meet(rank);
    memset(sums, 0, count * size);
    for (size_t r = 0; r < all->count; r++)
        for (size_t i = 0; i < count; i++)
            if (dtype == BP_FLOAT32)
                ((float *)sums)[i] += ((float *)all->numbers[r])[i];
            else
                ((double *)sums)[i] += ((double *)all->numbers[r])[i];
    meet(rank);
    memcpy(numbers, sums, count * size);
    free(sums);
    return true;
}

static struct bp_optimizer
make_optimizer(const struct way *way)
{
    return (struct bp_optimizer){
        .rule = way->rule,
        .rate = 0.05,
        .beta_1 = 0.9,
        .beta_2 = 0.999,
        .epsilon = 1e-8,
        .clip_norm = INFINITY,
        .clip_value = INFINITY,
        .lazy = way->flags & LAZY,
    };
}

static struct bp_settings
settings_of(const struct way *way, size_t threads)
{
    return (struct bp_settings){
        .epochs = EPOCHS,
        .batch = way->batch,
        .threads = threads,
        .first_threads = threads,
        .shuffle = way->flags & SHUFFLE,
        .norms = way->flags & NORMS,
        .mixed = way->flags & MIXED ? &bp_mixed_emulated : NULL,
        .budget = INFINITY,
    };
}

static bp_real *
zeros(const struct bp_network *net)
{
    const size_t size = bp_room(net) * net->kernels->size;
    return memset(room(size), 0, size);
}

/* a thread: one rank's training, or the only one */
static void *
train(void *argument)
{
    struct rank *rank = argument;
    const struct way *way = rank->way;
    const struct bp_network *net = &rank->world->net;
    struct bp_optimizer optimizer = make_optimizer(way);
    uint64_t state = way->flags & SHARDED ? 9 + rank->me : 9;
    const struct bp_random random = {.next = next_random, .state = &state};
    struct blocks blocks = {.data = &rank->world->data, .rows = way->rows};
    const struct bp_stream stream = {
        .whole = way->flags & WHOLE, .next = next_block, .context = &blocks};
    struct bp_ranks ranks = {
        .me = rank->me,
        .count = way->ranks,
        .sharded = way->flags & SHARDED,
        .steps = (way->rows + way->batch - 1) / way->batch,
        .average_every = way->average_every,
        .reduce = reduce,
        .barrier = meet,
        .context = rank,
        .shared = rank->together ? rank->together->shared : NULL,
        .rows = way->flags & SHARED ? (way->batch + way->ranks - 1) / way->ranks : 0,
    };
    struct bp_training t = {
        .net = net,
        .optimizer = &optimizer,
        .data = rank->world->data,
        .random = &random,
        .record = rank->record,
        .settings = settings_of(way, rank->threads),
    };
    struct bp_trained trained;

    if (way->flags & SHARDED) /* streams end unevenly */
        blocks.rows -= 40 * rank->me;
    t.parameters = rank->parameters = zeros(net);
    fill(net, t.parameters, net->parameters, 5);
    for (size_t s = 0; s < bp_state_count(&optimizer); s++)
        optimizer.state[s] = rank->state[s] = zeros(net);
    if (way->flags & STREAM) {
        t.stream = &stream;
        t.data = (struct bp_data){0};
    }
    t.ranks = way->ranks ? &ranks : NULL;
    t.validation = way->flags & VALIDATION ? &rank->world->data : NULL;
    rank->status = bp_train(&t, &trained);
    return NULL;
}

static void
train_ranks(struct rank ranks[], size_t count, const struct world *world, const struct way *way)
{
    const struct bp_optimizer optimizer = make_optimizer(way);
    const struct bp_ranks asked = {.count = count, .rows = (way->batch + count - 1) / count};
    struct together together = {.count = count};
    pthread_t threads[MOST_RANKS];

    if (way->flags & SHARED) {
        const size_t size = bp_room_to_share(&world->net, &optimizer, &asked);
        together.shared = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
        require(size > 0 && together.shared, way->name, "no memory in common");
    }
    pthread_barrier_init(&together.barrier, NULL, (unsigned)count);
    for (size_t r = 0; r < count; r++) {
        ranks[r].together = &together;
        pthread_create(&threads[r], NULL, train, &ranks[r]);
    }
    for (size_t r = 0; r < count; r++)
        pthread_join(threads[r], NULL);
    pthread_barrier_destroy(&together.barrier);
    free(together.shared);
}

static void
compare(const struct rank *one, const struct rank *other, bool records)
{
    const struct bp_network *net = &one->world->net;
    const size_t size = net->parameters * net->kernels->size;
    const char *name = one->way->name;

    require(one->status == BP_OK && other->status == BP_OK, name, "it failed");
    require(memcmp(one->parameters, other->parameters, size) == 0, name, "other parameters");
    for (size_t s = 0; s < BP_STATES && one->state[s]; s++)
        require(memcmp(one->state[s], other->state[s], size) == 0, name, "another state");
    for (size_t i = 0; records && i < EPOCHS * BP_FIGURES; i++)
        require(i % BP_FIGURES == BP_SECONDS ||
                    memcmp(one->record + i, other->record + i, sizeof(double)) == 0,
                name, "another record");
}

static void
check_way(const struct way *way)
{
    const size_t count = way->ranks ? way->ranks : 1;
    const size_t few[TEAMS] = {1, 2, 3}, many[TEAMS] = {1, 4, 16};
    struct rank ranks[TEAMS][MOST_RANKS];
    struct world world;

    make_world(&world, way);
    for (size_t i = 0; i < TEAMS; i++) {
        const size_t threads = way->flags & BLOCKS ? many[i] : few[i];
        struct rank *now = ranks[i];
        for (size_t r = 0; r < count; r++)
            now[r] = (struct rank){.way = way, .world = &world, .me = r, .threads = threads};
        if (way->ranks)
            train_ranks(now, count, &world, way);
        else
            train(now);
        for (size_t r = 0; r < count; r++) {
            compare(&ranks[0][0], &now[r], true);
            compare(&ranks[0][r], &now[r], true);
        }
    }
    for (size_t i = 0; i < TEAMS * count; i++) {
        struct rank *rank = &ranks[i / count][i % count];
        free(rank->parameters);
        for (size_t s = 0; s < BP_STATES; s++)
            free(rank->state[s]);
    }
    drop_world(&world);
}

/* Outputs, classes and losses, and the gradient. */
static void
check_many(const struct way *way)
{
    struct world world;
    struct bp_results results[2] = {{0}};
    struct bp_mean_gradient means[2];

    make_world(&world, way);
    const struct bp_network *net = &world.net;
    const size_t size = net->kernels->size, rows = way->rows;
    bp_real *parameters = zeros(net);
    fill(net, parameters, net->parameters, 5);
    for (size_t i = 0; i < 2; i++) {
        const struct bp_many many = {
            .net = net, .parameters = parameters, .data = &world.data, .threads = 1 + 2 * i};
        results[i].outputs = room(rows * way->sizes[LAYERS] * size);
        results[i].classes = room(rows * sizeof(int64_t));
        results[i].losses = room(rows * sizeof(double));
        means[i] = (struct bp_mean_gradient){
            .data = &world.data, .gradient = zeros(net), .inputs = room(way->sizes[0] * size)};
        require(bp_evaluate_many(&many, true, &results[i]) == BP_OK, way->name, "not evaluated");
        require(bp_gradient_many(&many, &means[i]) == BP_OK, way->name, "no gradient");
    }
    require(memcmp(results[0].outputs, results[1].outputs, rows * way->sizes[LAYERS] * size) == 0 &&
                memcmp(results[0].classes, results[1].classes, rows * sizeof(int64_t)) == 0 &&
                memcmp(results[0].losses, results[1].losses, rows * sizeof(double)) == 0 &&
                memcmp(&results[0].total, &results[1].total, sizeof(double)) == 0,
            way->name, "evaluated otherwise");
    require(memcmp(means[0].gradient, means[1].gradient, net->parameters * size) == 0 &&
                memcmp(means[0].inputs, means[1].inputs, way->sizes[0] * size) == 0 &&
                memcmp(&means[0].loss, &means[1].loss, sizeof(double)) == 0,
            way->name, "another gradient");
    for (size_t i = 0; i < 2; i++) {
        free(results[i].outputs);
        free(results[i].classes);
        free(results[i].losses);
        free(means[i].gradient);
        free(means[i].inputs);
    }
    free(parameters);
    drop_world(&world);
}

/* Trains a population; its parameters, to be freed. */
static bp_real *
train_members(const struct way *way, const struct world *world, enum bp_way how, size_t threads)
{
    const struct bp_network *net = &world->net;
    const size_t count = MEMBERS * net->parameters, size = count * net->kernels->size;
    uint64_t states[MEMBERS], steps[MEMBERS] = {0};
    uint8_t active[MEMBERS];
    struct bp_random random[MEMBERS];
    double *record = room(MEMBERS * EPOCHS * BP_FIGURES * sizeof(*record));
    struct bp_population p = {
        .net = net,
        .members = {.count = MEMBERS, .parameters = room(size), .steps = steps, .active = active},
        .optimizer = make_optimizer(way),
        .data = {&world->data, false},
        .random = {random, false},
        .way = how,
        .record = record,
        .settings = settings_of(way, threads),
    };

    fill(net, p.members.parameters, count, 6);
    for (size_t s = 0; s < bp_state_count(&p.optimizer); s++)
        p.members.state[s] = memset(room(size), 0, size);
    for (size_t i = 0; i < MEMBERS; i++) {
        active[i] = 1;
        states[i] = i;
        random[i] = (struct bp_random){.next = next_random, .state = &states[i]};
    }
    require(bp_train_population(&p) == BP_OK, way->name, "no population");
    for (size_t s = 0; s < BP_STATES; s++)
        free(p.members.state[s]);
    free(record);
    return p.members.parameters;
}

static void
check_population(const struct way *way)
{
    struct world world;

    make_world(&world, way);
    const size_t size = MEMBERS * world.net.parameters * world.net.kernels->size;
    bp_real *one = train_members(way, &world, BP_ONE_BY_ONE, 1);
    for (enum bp_way how = BP_FASTEST; how <= BP_IN_LANES; how++) {
        bp_real *many = train_members(way, &world, how, 3);
        require(memcmp(one, many, size) == 0, way->name, "another population");
        free(many);
    }
    free(one);
    drop_world(&world);
}

int
main(void)
{
    const size_t count = sizeof(ways) / sizeof(*ways);
    size_t others = 0;

    for (size_t i = 0; i < count; i++) {
        const struct way *way = &ways[i];
        check_way(way);
        if (way->ranks || way->flags & (STREAM | SPARSE))
            continue;
        others += 1;
        check_many(way);
        if (!(way->flags & MIXED)) {
            others += 1;
            check_population(way);
        }
    }
    printf("%zu ways to train on one thread and on several, and %zu others\n", count, others);
    return 0;
}
