# ruff: noqa: E501
"""Mutation testing: every mistake below, made on purpose in a copy of the sources, must fail a test.

    python tests/long/mutants.py [--list] [--work FOLDER] [name ...]

Each mutant is one replacement in one file. It is built with -O1 for one instruction set, and the tests that
guard the arithmetic run until the first failure; those of ranks need mpi4py and mpiexec. A text that is not
found exactly once is an error: the code has changed, and the mutant must follow it. The exit status is 1 where
a mutant survives.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 900  # after which a mutant hangs

TESTS = (
    "kernels", "lesson", "gradients", "training", "schedules", "optimizers", "second_order", "dropout", "determinism", "fit_options",
    "own_functions", "differences", "explain", "parameters", "freedom",
)  # fmt: skip
SOLVERS = ("solver_steps", "whole_batch", "beside_scipy", "weights_and_masks")
# What is likely to kill the mutants of a file comes first.
FIRST = {
    "alone": ("weights_and_masks",),
    "vectors": ("sparse_fit",), "lazy": ("sparse_fit",), "sparse_layer": ("sparse_fit",), "sparse": ("sparse_fit", "sparse"),
    "freedom": ("freedom",), "optimize": ("optimizers", "sparse_fit"), "optimizer": ("freedom", "optimizers"), "regularize": ("dropout", "fit_options", "patience"), "patience": ("patience",), "monitor": ("early_stopping",),
    "math": ("instruction_sets",), "normal": ("instruction_sets", *SOLVERS),
    "dropout": ("dropout",), "curvature": ("second_order",), "second_order": ("second_order",),
    "lanes": ("lanes", "grouped_sums", "many_samples"), "lanes_loss": ("lanes", "many_samples"), "rows_in_lanes": ("kernels", "many_samples", "large_layers"), "sums": ("grouped_sums", "lanes", "groups"), "groups": ("groups", "lanes"),
    "many": ("many_samples", "grouped_sums"), "many_gradients": ("many_samples", "grouped_sums"), "rounded": ("precision",), "bf16_emulated": ("mixed", "precision"), "avx512_bf16": ("mixed",), "amx": ("mixed",), "grouping": ("grouped_sums", "groups"),
    "train_block": ("populations", "patience"), "load_block": ("populations",), "member": ("populations",), "population_steps": ("populations",),
    "population_online": ("populations",), "population": ("population", "populations"), "epoch": ("history",), "population_outputs": ("populations",), "block": ("populations",), "divide": ("population",),
    **dict.fromkeys(("lbfgs", "line_search", "levenberg", "bayesian", "evidence", "residuals", "matrix", "objective", "solve", "whole_batch", "solvers"), SOLVERS),
    "pace": ("pace",), "crowding": ("crowding",), "core": ("cores",), "pieces": ("pieces",), "team": ("pieces",),
    "chain": ("history", "not_finite", "while_training", "determinism"), "single": ("determinism", "large_layers"), "division": ("division", "large_layers"), "grid": ("division", "large_layers"), "quarters": ("large_layers",), "workspace": ("large_layers",), "plan": ("large_layers", "populations"), "online": ("determinism",),
    "rearrange": ("kernels", "numbers"), "together": ("mpi",), "averaging": ("mpi",), "common_memory": ("mpi",), "whole_gradient": ("optimizers", "fit_options", "freedom"), "feed": ("fit_options",), "batches": ("schedules", "training", "sparse_fit"), "figures": ("training",),
    "forward": ("gradients", "large_layers"), "backward": ("gradients", "precision", "large_layers"), "update": ("gradients", "sparse_fit", "freedom"), "gradient": ("gradients",),
}  # fmt: skip


class Mutant(NamedTuple):
    name: str
    file: str  # under csrc/; of Python, from the root
    old: str
    new: str


def in_file(file, *mutants):
    return [Mutant(name, file, old, new) for name, old, new in mutants]


MUTANTS = [
    *in_file(
        "core/train/vectors.c",
        ("what is remembered outlives an epoch that is taken back", "memset(t->optimizer->state[s], 0, t->net->parameters * t->net->kernels->size);", "(void)s;"),
        ("the steps of an epoch that is taken back are counted", "t->optimizer->steps = 0;", "(void)states;"),
        ("what was put aside stays there", "    bp_unpack(t->net, good, t->parameters, 0, 1);\n", ""),
        ("steps of what was put aside are not counted", "    t->optimizer->steps += run->vectors.good.steps;\n", ""),
        ("only the first epoch is kept", "else if (another)", "else if (false)"),
        ("nothing is taken back", "copy_share(t->net, run->vectors.kept, t->parameters, 0, 1);", ""),
        ("a step in place goes unnoticed", "run->vectors.moved = true;", ""),
        ("in place: what is remembered of what is masked is not cleared", "bp_mask_vector(t->net, (struct bp_vector){t->optimizer->state[s], false});", "(void)t;"),
        ("in place: what is masked is not cleared", "    bp_mask_vector(t->net, (struct bp_vector){t->parameters, false});\n", ""),
    ),
    *in_file(
        "core/passes/lazy.c",
        ("lazy: epsilon as usual", "lazy.epsilon /= sqrt(rule->correction_2);", ""),
        ("sparse: the gradient before of a column of zeros", "if (!every)\n            memset(", "if (false)\n            memset("),
        ("lazy: the last columns stay", "const size_t more = own->count - g, count = more < chunk.most ? more : chunk.most;", "const size_t more = own->count - g, count = more < chunk.most ? more - (more > 1) : chunk.most;"),
        ("sparse: the delta of the first nodes for all", "bp_at(net, pass->ws->nodes[0].delta, j / panel * pass->ws->stride);", "pass->ws->nodes[0].delta;"),
    ),
    *in_file(
        "core/passes/sparse_layer.c",
        ("sparse: groups of the batch before", "nz->group_of[nz->groups[own->first + g].k] = 0;", "(void)own;"),
        ("sparse: all of the first sample", "nz->sorted_rows[to] = (uint32_t)n;", "nz->sorted_rows[to] = 0;"),
        ("sparse: groups of a thread begin too late", "others += nz->k[i] % threads < me;", "others += nz->k[i] % threads <= me;"),
    ),
    *in_file(
        "core/passes/update.c",
        ("rows: the mask of the first input", "bp_mask_part(net, g->l, g->k[i], 1, g->first, g->columns,", "bp_mask_part(net, g->l, 0, 1, g->first, g->columns,"),
        ("rows: penalties of the first input", "bp_at(net, w.w, (q + j / panel) * w.stride + g->k[i] * w.row), w.row,", "bp_at(net, w.w, (q + j / panel) * w.stride), w.row,"),
        ("rows: the gradient of the first where rates differ", "bp_at(net, gradient, i * g->row));", "gradient);"),
        ("rows: the first columns for all", "at[i] = begin + (g->first + j) / panel * w.stride + g->k[i] * w.row;", "at[i] = begin + g->first / panel * w.stride + g->k[i] * w.row;"),
    ),
    *in_file(
        "kernels/bodies/optimize.inc",
        ("rows: the end of a row moves twice", "    NAME(move_vectors)(rule, nesterov, number, whole, w, g, first, second);\n    NAME(store)(w + last, end_w);", "    NAME(store)(w + last, end_w);\n    NAME(move_vectors)(rule, nesterov, number, whole, w, g, first, second);"),
        ("rows: the end's state is not stored", "NAME(store)(first + last, NAME(load)(end_first));", ""),
        ("rows: less than a vector, the gradient of the first", "(const REAL *)g + r * g_row,", "g,"),
    ),
    *in_file(
        "core/data/sparse.c",
        ("sparse: rows begin with the first non-zero", "*first = good ? (size_t)begins : 0;", "*first = 0;"),
    ),
    *in_file(
        "core/train/pace.c",
        ("crowded cores change nothing", "if (last.crowded && pace->threads > 1)", "if (false)"),
        ("more threads are tried on crowded cores", "if (pace->threads < pace->most && !crowded) {", "if (pace->threads < pace->most) {"),
        ("fewer threads for short steps are never tried first", "(!pace->down.tried && pace->steps >= SHORT_STEPS)", "false"),
        ("after crowded cores more threads are not tried again", "pace->down = pace->up = again;", "pace->down = pace->up = (struct bp_pace_tries){.patience = 1e9};"),
    ),
    *in_file(
        "core/base/core.c",
        ("a new thread stays on its maker's core", "CPU_CLR((size_t)core, &others);", ""),
        ("a new thread may not run on its maker's core", "        (void)pthread_setaffinity_np(thread, sizeof(allowed), &allowed);", "        (void)allowed;"),
        ("a thread that slept never leaves its core again", "    stay->core = core;", "    stay->core = -1;"),
        ("what others asked for meanwhile is undone", "!CPU_EQUAL(&now, &here)", "false"),
        ("cores that come later are not used", "memset(&now, 0xff, sizeof(now));", "now = allowed;"),
        ("a restricted thread is set free", "!CPU_EQUAL(&now, &allowed)", "false"),
    ),
    *in_file(
        "core/base/pieces.c",
        ("nobody takes from others' shares", "pieces->from < pieces->threads", "pieces->from < 1"),
        ("all pieces are of the first group", "pieces->group = whose % pieces->groups;", "pieces->group = 0;"),
        ("groups have the same share", "whose / pieces->groups, &begin", "whose % (pieces->threads / pieces->groups), &begin"),
        ("the first piece is the whole share", "(begun + (grains + 1) / 2) * grain", "(begun + grains) * grain"),
    ),
    *in_file(
        "core/base/team.c",
        ("a piece that was taken once is never taken again", "seen >> 32 == now >> 32 ? seen : now", "seen"),
    ),
    *in_file(
        "core/base/crowding.c",
        ("waiting for a core is not seen", "((waited - seen.waited) / ready - seen.crowding)", "(0 - seen.crowding)"),
    ),
    *in_file(
        "kernels/bodies/vector.inc",
        ("a pad counts as a node", "return place < (", "return place <= ("),
        ("a vector past the last node is one of nodes", "const ptrdiff_t left = (ptrdiff_t)(columns - j), most", "const size_t left = columns - j, most"),
    ),
    *in_file(
        "kernels/bodies/activation.inc",
        ("sigmoid' without 1 - a", "return a * (one - a);", "return a;"),
        ("tanh' of a, not a²", "return one - a * a;", "return one - a;"),
        ("relu'(0) = 1", "return NAME(select)(a > zero, one, zero);", "return NAME(select)(a >= zero, one, zero);"),
        ("leaky slope 0.1", "one, NAME(set)((REAL)0.01))", "one, NAME(set)((REAL)0.1))"),
        ("elu' is elu", "NAME(select)(z > zero, one, NAME(v_exp)(z))", "NAME(select)(z > zero, one, NAME(v_expm1)(z))"),
        ("softmax without its maximum", "NAME(v_exp)(NAME(load)(z + at) - largest)", "NAME(v_exp)(NAME(load)(z + at))"),
        ("softmax delta without its mean", "(NAME(load)(dC_da + at) - mean));", "NAME(load)(dC_da + at));"),
        ("softmax Jacobian transposed in sign", "((REAL)(i == j) - a[i / PANEL", "((REAL)(i == j) + a[i / PANEL"),
        ("the factor of a delta is left out", "factor ? slope * NAME(load)(factor + i) : slope", "slope"),
    ),
    *in_file(
        "kernels/bodies/loss.inc",
        ("the class of the last of equals", "if (x > most) {", "if (x >= most) {"),
        ("squared error' without factor 2", "return d + d;", "return d;"),
        ("error with the sign turned", "const vec d = a - y, one = NAME(set)(1);\n    switch (loss) {\n"
         "    case BP_BINARY_CROSS_ENTROPY:\n        return NAME(quotient)", "const vec d = y - a, one = NAME(set)(1);"
         "\n    switch (loss) {\n    case BP_BINARY_CROSS_ENTROPY:\n        return NAME(quotient)"),
        ("mean squared error' is not a mean", "SLOPES(BP_SQUARED_ERROR, / nodes)", "SLOPES(BP_SQUARED_ERROR, )"),
        ("mean squared error is not a mean", "losses[n] /= (double)columns;", "losses[n] /= 1;"),
        ("cross-entropy' with the sign turned", "return -NAME(quotient)(y, a);", "return NAME(quotient)(y, a);"),
        ("binary cross-entropy' without 1 - y", "return NAME(quotient)(one - y, one - a) - NAME(quotient)(y, a);",
         "return -NAME(quotient)(y, a);"),
        ("huber without its corner", "NAME(select)(size <= one, half * d * d, size - half)", "half * d * d"),
        ("huber' not held", "return NAME(select)(d > one, one, NAME(select)(d < -one, -one, d));", "return d;"),
        ("fused delta with the sign turned", "NAME(load)(a + at) * total - NAME(load)(y + at)",
         "NAME(load)(y + at) - NAME(load)(a + at) * total"),
        ("fused delta without Σy", "NAME(load)(a + at) * total - NAME(load)(y + at)",
         "NAME(load)(a + at) - NAME(load)(y + at)"),
        ("log-sum-exp without its maximum", "log_sum - (NAME(load)(z + at) - largest)", "log_sum - NAME(load)(z + at)"),
        ("fused binary loss of |z|", "NAME(v_exp)(-NAME(abs)(NAME(load)(z + at)))", "NAME(v_exp)(NAME(abs)(NAME(load)(z + at)))"),
    ),
    *in_file(
        "kernels/bodies/product.inc",
        ("bias dropped", ": start   ? NAME(load)(start + q * PANEL + v * LANES)", ": 0 ? NAME(load)(start)"),
        ("a block forgets the one before", "sum[r][q][v] = p->resume ?", "sum[r][q][v] = 0 ?"),
        ("the last term of a sum is left out", "p->depth - s < PANEL ? p->depth - s : PANEL;",
         "p->depth - s < PANEL ? p->depth - s - (p->depth > 1) : PANEL;"),
        ("a transposed in the product", "NAME(set)(a[r * a_row + t])", "NAME(set)(a[t * a_row + r])"),
        ("one row too many in a tile", "const size_t height = rows + (i < taller);\n            switch (height) {\n#define "
         "TILE(n)                                                                                    \\\n    case n:"
         "                                                                                        \\\n        NAME(product_group)",
         "const size_t height = rows + (i <= taller);\n            switch (height) {\n#define TILE(n) \\\n    case n: \\\n"
         "        NAME(product_group)"),
        ("outer product of the wrong sample", "NAME(set)(a[n * PANEL + r])", "NAME(set)(a[r * PANEL + n])"),
        ("outer product adds nothing", "sum[r][q][v] += NAME(load)(c + q * c_stride + r * c_row + v * LANES);", "sum[r][q][v] += NAME(set)(0);"),
        ("one sample's outer product with the sign turned", "NAME(fma)(factor, row[v], NAME(load)(c + v * LANES))",
         "NAME(fma)(-factor, row[v], NAME(load)(c + v * LANES))"),
        ("one sample's outer product beside whole vectors with the sign turned", "NAME(fma)(factor, row[v], old)", "NAME(fma)(-factor, row[v], old)"),
        ("narrow sums forget what was there", "add ? sum + NAME(load_first)(c + j, width) : sum", "sum"),
        ("column sums skip the second row", "for (size_t n = 1; n < rows; n++)", "for (size_t n = 2; n < rows; n++)"),
        ("column sums forget what was there", "add ? sum[j + t] + total[t] : total[t];", "total[t];"),
    ),
    *in_file(
        "kernels/bodies/chain.inc",
        ("chain: bias dropped", "sum[v] = bias ? NAME(load)(bias + v * LANES) : NAME(set)(0);", "sum[v] = NAME(set)(0);"),
        ("chain: bias stands still", "NAME(load)(bias + v * LANES) + delta[v]", "NAME(load)(bias + v * LANES)"),
        ("chain: slope dropped", "NAME(select)(NAME(existing)(at, link->outputs), slope * dC_da[v],",
         "NAME(select)(NAME(existing)(at, link->outputs), dC_da[v],"),
        ("chain: mean squared error' is not a mean", "dC_da[v] = dC_da[v] / nodes;", ";"),
        ("chain: turned weights stand still", "NAME(fma)(factor, NAME(load)(a_prev + k), NAME(load)(at))", "NAME(load)(at)"),
        ("chain: weights of the step before", "NAME(chain_move)(vectors, chain, &links[l], delta,",
         "if (l > 0 || n > 0) NAME(chain_move)(vectors, chain, &links[l], delta,"),
        ("chain: the layer's own output", "delta, l > 0 ? (REAL *)links[l - 1].a : x,", "delta, l > 0 ? (REAL *)links[l].a : x,"),
        ("chain by a rule: turned weights stand still", "turned[j * PANEL + k] = w[k * PANEL + j];", "turned[j * PANEL + k] += 0;"),
        ("chain by a rule: numbers of the first step", "chain->by.numbers + n * BP_RULE_NUMBERS;", "chain->by.numbers;"),
        ("chain by a rule: the bias' squares are those of W", "    second = link->bias_state[1];\n", ""),
        ("chain by a rule: gradient of another sample", "const vec g = NAME(fma)(factor, delta[v], NAME(set)(0));",
         "const vec g = delta[v];"),
        ("chain: the recursion of the first node", "const vec share = NAME(chain_number)(delta, stored, j);", "const vec share = NAME(chain_number)(delta, stored, 0);"),
        ("chain: classes of the first sample", "&chain->of.classes[n]", "&chain->of.classes[0]"),
        ("chain: the loss of another sample", "&chain->of.losses[n]", "&chain->of.losses[n > 0 ? n - 1 : 0]"),
        ("chain: an infinity is put aside", "            zero |= (ivec)(x - x);\n", ""),
        ("chain: the rate squared", "delta[v] = NAME(set)((REAL)factor) * delta[v];", "delta[v] = NAME(set)((REAL)(factor * factor)) * delta[v];"),
    ),
    *in_file(
        "kernels/bodies/single.inc",
        ("online: what lies behind W fills up ∂C/∂a", "NAME(select)(NAME(existing)(at, rows), sum[b], NAME(set)(0))",
         "sum[b]"),
        ("online: bias dropped", "sum[i][v] = start ? NAME(load)(start + at) : NAME(set)(0);", "sum[i][v] = NAME(set)(0);"),
        ("online: the step is not done", "NAME(fma)(last, move[i][v], NAME(load)(at))", "NAME(load)(at)"),
        ("online: sums of the weights before the step", "sum[i][v] = NAME(fma)(now, row, sum[i][v]);",
         "sum[i][v] = NAME(fma)(now, row - last * move[i][v], sum[i][v]);"),
        ("online: the recursion of another node", "NAME(fma)(NAME(set)(delta[j + t]), column[t], sum[b])",
         "NAME(fma)(NAME(set)(delta[j]), column[t], sum[b])"),
        ("online: the last panel is left out", "for (; q < p->panels; q++)", "for (; q + 1 < p->panels; q++)"),
        ("online: the last column is left out", "if (j + t < columns)", "if (j + t + (columns > 1) < columns)"),
    ),
    *in_file(
        "kernels/bodies/optimize.inc",
        ("weight decay with the sign turned", "slope += number[BP_DECAY_OF_RULE] * old;", "slope -= number[BP_DECAY_OF_RULE] * old;"),
        ("adam's first moment is the gradient", "mean = before + number[BP_NEW_1_OF_RULE] * (slope - before);", "mean = slope;"),
        ("adam's second moment of |g|", "NAME(load)(second) +\n                           number[BP_NEW_2_OF_RULE] * (slope * slope);", "NAME(load)(second) +\n                           number[BP_NEW_2_OF_RULE] * NAME(abs)(slope);"),
        ("adam without correction of the second moment", "(NAME(sqrt)(square) * number[BP_ROOT_OF_RULE] + number", "(NAME(sqrt)(square) + number"),
        ("adam without correction of the first moment", "adam ? o->rate / o->correction_1 : o->rate", "o->rate"),
        ("adamw's decay without the rate", "1 - o->rate * o->decay", "1 - o->decay"),
        ("rmsprop's epsilon under the root", "move = slope / (NAME(sqrt)(square) + number[BP_EPSILON_OF_RULE]);", "move = slope / NAME(sqrt)(square + number[BP_EPSILON_OF_RULE]);"),
        ("rmsprop without momentum", "move += number[BP_MOMENTUM_OF_RULE] * NAME(load)(second);", ";"),
        ("momentum forgets", "number[BP_MOMENTUM_OF_RULE] * NAME(load)(first) + slope;", "NAME(load)(first) + slope;"),
        ("nesterov is momentum", "nesterov ? slope + number[BP_MOMENTUM_OF_RULE] * speed : speed;", "speed;"),
        ("uphill", "return old - number[BP_RATE_OF_RULE] * move;", "return old + number[BP_RATE_OF_RULE] * move;"),
        ("the gradient is not clipped", "slope = NAME(select)(slope > limit, limit,", "slope = NAME(select)(slope > limit, slope,"),
    ),
    *in_file(
        "kernels/bodies/rearrange.inc",
        ("every row has the factor of the first", "NAME(set)((REAL)factors[n])", "NAME(set)((REAL)factors[0])"),
        ("an infinity is finite", "NAME(fma)(NAME(set)(0), NAME(load)(x + i + u * LANES), zero[u]);", "NAME(set)(0);"),
    ),
    *in_file(
        "kernels/bodies/regularize.inc",
        ("l1 with the sign turned", "(w[j] > 0) - (w[j] < 0)", "(w[j] < 0) - (w[j] > 0)"),
        ("l2 without w", "+ l2 * w[j];", "+ l2;"),
        ("dropout without its scale", "draw < below ? 0 : a[j] * scale;", "draw < below ? 0 : a[j];"),
        ("dropout keeps what it should drop", "draw < below ? 0 : a[j] * scale;", "draw >= below ? 0 : a[j] * scale;"),
        ("dropout of the sample before", "(drop->place + n + 1) * INCREMENT", "(drop->place + n) * INCREMENT"),
    ),
    *in_file(
        "kernels/bodies/math.inc",
        ("silu' with the sign turned", "s * (C(1) + x * (C(1) - s))", "s * (C(1) - x * (C(1) - s))"),
        ("silu is NaN at -infinity", "C(-0.0), x * NAME(sigmoid_between)", "x * C(0), x * NAME(sigmoid_between)"),
    ),
    *in_file(
        "kernels/bodies/normal.inc",
        ("gelu' without its density", "NAME(fma)(x, density, cdf)", "cdf"),
        ("gelu'' without z²", "density * (C(2) - x * x)", "density * C(2)"),
        ("the rounding of x² is forgotten", "(minus_square, rest, &bits)", "(minus_square, C(0), &bits)"),
        ("what a division loses is forgotten", "NAME(fma)(excess, C(-1 / CDF_SCALE), ", "NAME(fma)(excess, C(0), "),
    ),
    *in_file(
        "kernels/bodies/curvature.inc",
        ("sigmoid'' is sigmoid'", "return a * (one - a) * (one - two * a);", "return a * (one - a);"),
        ("tanh'' with the sign turned", "return -two * a * (one - a * a);", "return two * a * (one - a * a);"),
        ("silu'' with one for two", "(two + z * (one - two * s))", "(one + z * (one - two * s))"),
        ("softplus'' is softplus'", "const vec s = NAME(v_sigmoid)(z);\n        return s * (one - s);", "const vec s = NAME(v_sigmoid)(z);\n        return s;"),
        ("the bend is left out", "bend + NAME(g_prime)(g, z_i, a_i)", "NAME(g_prime)(g, z_i, a_i)"),
        ("softmax's bend without the moving mean", "NAME(load)(a + at) * moved);", "NAME(load)(a + at) * NAME(set)(0));"),
        ("squared error'' is 1", "vec bend = one + one;", "vec bend = one;"),
        ("cross-entropy'' without its square", "bend = NAME(quotient)(y_j, a_j * a_j);\n", "bend = NAME(quotient)(y_j, a_j);\n"),
    ),
    *in_file(
        "kernels/bodies/lanes.inc",
        ("lanes: bias dropped", "NAME(set)(start ? start[i] : 0)", "NAME(set)(0)"),
        ("lanes: the last term of a sum is left out", "p->depth - s < run ? p->depth - s : run;", "p->depth - s < run ? p->depth - s - 1 : run - (run == p->depth);"),
        ("lanes: weights of the first panel back", "s += run, w += p->w_stride)", "s += run)"),
        ("lanes: weights of the first panel forward", "i / PANEL * p->w_stride + i % PANEL", "i % PANEL"),
        ("lanes: blocks are added from the last", "total += x[i];", "total += x[LANES - 1 - i];"),
        ("lanes: the gradient of another sample", "NAME(load)(a[i] + q * p->a_stride + at)", "NAME(load)(a[i] + (p->panels - 1 - q) * p->a_stride + at)"),
        ("lanes: the bias of the first panel", "memcpy((REAL *)p->bias + j, out,", "memcpy((REAL *)p->bias, out,"),
        ("lanes: the bias forgets a panel", "sum[i] += NAME(load)(delta[i] + q * p->delta_stride + v * LANES);", "sum[i] += q == 0 ? NAME(set)(0) : NAME(load)(delta[i] + q * p->delta_stride + v * LANES);"),
        ("lanes: the bias of a node's neighbour", "NAME(nodes_from)(p->delta, p->columns, j + t, delta);", "NAME(nodes_from)(p->delta, p->columns, j, delta);"),
    ),
    *in_file(
        "kernels/bodies/rows_in_lanes.inc",
        ("rows: losses past the last one", "memcpy(losses, all, rows * sizeof(*all));", "memcpy(losses, all, sizeof(all));"),
        ("rows: a NaN is the first class", "turned, undecided, all)", "turned, 0, all)"),
        ("rows: fused losses of outputs", "z ? z : a, y, stride", "a, y, stride"),
    ),
    *in_file(
        "kernels/bodies/lanes_loss.inc",
        ("lanes: softmax without its maximum", "NAME(v_exp)(NAME(load)(z + j * PANEL) - largest)", "NAME(v_exp)(NAME(load)(z + j * PANEL))"),
        ("lanes: nodes are added one after the other", "j_ < nodes; j_ += LANES)", "j_ < (first_ == 0 ? nodes : first_); j_++)"),
        ("lanes: a mean that is a sum", "L == BP_MEAN_SQUARED_ERROR ? slope / all : slope", "slope"),
        ("lanes: a mean loss that is a sum", "loss == BP_MEAN_SQUARED_ERROR ? c / (double)nodes : c", "c"),
        ("lanes: fused delta without Σy", "total = sum;", ";"),
        ("lanes: the factor of the first sample for all", "factor[i] = (REAL)factors[row + i];", "factor[i] = (REAL)factors[row];"),
        ("lanes: the class of the last of equals", "const ivec more = x > most;", "const ivec more = x >= most;"),
        ("lanes: a NaN is a class", "best = (ordered & best) | (~ordered & ((INTEGER(REAL_BITS))undecided - (ivec){0}));", ";"),
    ),
    *in_file(
        "core/passes/lanes.c",
        ("lanes: the last sample for those that are missing", "(n < rows.count ? n : 0)", "(n < rows.count ? n : rows.count)"),
        ("lanes: slope dropped", "before->a, dC_da.numbers, delta.numbers);", "before->a, dC_da.numbers, dC_da.numbers == delta.numbers ? before->a : delta.numbers);"),
        ("lanes: rows of another byte order are plain", "bp_is_plain_array(net, &data->x) && (!targets", "(!targets"),
        ("lanes: the order of rows is forgotten", "(ptrdiff_t)order[n + b] * array->row_stride", "(ptrdiff_t)(n + b) * array->row_stride"),
        ("lanes: missing targets are there", "return !pass->masked &&", "return"),
    ),
    *in_file(
        "core/passes/rounded.c",
        ("bfloat16: bias dropped", "p.start = whole->start ? whole->start + piece.column : NULL;", "p.start = NULL;"),
        ("bfloat16: the bias of the first panels", "p.start = whole->start ? whole->start + piece.column : NULL;", "p.start = whole->start;"),
        ("bfloat16: a piece forgets the one before", "p.resume = piece.term > 0;", "p.resume = false;"),
        ("bfloat16: every piece of a is the first", "p.a = whole->a + piece.term / BP_STRIP * whole->a_stride;", "p.a = whole->a;"),
        ("bfloat16: weights not turned", ".turned = true,", ".turned = false,"),
        ("bfloat16: the gradient of the first rows", ".a = rounded->turned[l % 2] + k * BP_STRIP,", ".a = rounded->turned[l % 2],"),
        ("bfloat16: delta of the first panels", "rounded->delta[l % 2] + q * rounded->delta_stride", "rounded->delta[l % 2]"),
        ("bfloat16: input with the nodes left out", ".m = bp_const_at(net, bp_input_of(ws, l), rows.first", ".m = bp_const_at(net, l ? ws->nodes[l - 1].a : ws->x, rows.first"),
    ),
    *in_file(
        "kernels/isa/bf16_emulated.c",
        ("bfloat16: cut off", "(bits + 0x7fff + (bits >> 16 & 1)) >> 16", "bits >> 16"),
        ("bfloat16: ties away from zero", "(bits + 0x7fff + (bits >> 16 & 1)) >> 16", "(bits + 0x8000) >> 16"),
        ("bfloat16: the first of two terms first", "for (size_t i = 2; i-- > 0;)", "for (size_t i = 0; i < 2; i++)"),
    ),
    *in_file(
        "kernels/isa/avx512_bf16.c",
        ("avx512_bf16: a lonely last row is left out", "for (; r < p->rows || r % BP_STRIP != 0; r += 2", "for (; r % BP_STRIP != 0; r += 2"),
        ("avx512_bf16: the last pair is left out", "pairs = (p->depth + 1) / 2;", "pairs = p->depth / 2;"),
        ("avx512_bf16: half a strip is not cleared", "if (left <= PANEL && q % 2 == 0)", "if (left < 0)"),
    ),
    *in_file(
        "kernels/isa/amx.c",
        ("amx: the tile on the right of the first rows", "TILE_ADD_PRODUCTS(3, 5, 7);", "TILE_ADD_PRODUCTS(3, 4, 7);"),
        ("amx: rows past the last one are written", "const size_t count = (rows < PANEL ? rows : PANEL) * PANEL;", "const size_t count = TILE;"),
        ("amx: every tile has the bias of the first", "start ? start + PANEL : NULL;", "start;"),
        ("amx: tiles are kept", "    TILE_RELEASE();\n", ""),
    ),
    *in_file(
        "core/passes/sums.c",
        ("groups are not cleared", "clear_panels(net, rows, columns, stride, group);", ";"),
        ("a block too long", "const size_t own = left < pass->sums.block ? left : pass->sums.block;", "const size_t own = left < pass->sums.group ? left : pass->sums.group;"),
        ("losses of a block are left out", "bp_add_loss_sums(&group, &block);", ";"),
    ),
    *in_file(
        "core/train/methods/groups.c",
        ("groups: uphill", ".sign = plain ? -optimizer.rate : 1,", ".sign = plain ? optimizer.rate : 1,"),
        ("groups: weights are left out", "batch->sign * bp_weight_of(data, rows, n) / batch->weight", "batch->sign / batch->weight"),
        ("groups: the last group is left out", "for (size_t g = 0; g < groups; g++)\n        net->kernels->add", "for (size_t g = 0; g + 1 < groups; g++)\n        net->kernels->add"),
        ("groups: penalties are left out", "if (run->vectors.gradient || net->penalized) {", "if (run->vectors.gradient) {"),
        ("groups: the rate of the step before", "optimizer.rate = bp_rate_of(run, worker->step);", "optimizer.rate = bp_rate_of(run, worker->step - (worker->step > 0));"),
        ("groups: the last block alone", "n += pass->rows, update.add = true)", "n += pass->rows)"),
        ("groups: dropout of the first block for all", "dropout.place = run->feed.place + part.first;", "dropout.place = run->feed.place + rows.first;"),
        ("groups: before their samples are drawn", "bp_await_order(worker->run, part.first);", ""),
        ("groups: Ctrl-C does not end the groups", "return bp_halts(&worker->run->halt, worker->pass.me == 0);", "return false;"),
        ("groups: no room for a short last batch", "const size_t last = t->stream ? batch : bp_samples_of(t) % batch;", "const size_t last = 0;"),
    ),
    *in_file(
        "core/evaluate/many_gradients.c",
        ("many: a gradient that is a sum", "1 / d->weight * weight;", "weight;"),
        ("many: groups after the first are left out", "d->first += rows;", "d->first += d->many->data->x.rows;"),
        ("wide gradient: deltas of the first group alone", "net->kernels->add(nodes_of(net), s->deltas, sum->deltas, s->deltas);", ";"),
        ("wide gradient: out of turn", "if (watch.stopped || !bp_await_turn(&s->turns, g, poll))", "if (watch.stopped)"),
        ("wide gradient: losses of the first rows alone", "for (size_t n = 0; n < count; n++)\n        s->total", "for (size_t n = 0; n < count / 2; n++)\n        s->total"),
    ),
    *in_file(
        "core/evaluate/many.c",
        ("many: the last rows are left out", ".count = bp_quotient_up(rows, e.rows),", ".count = rows / e.rows,"),
        ("many: weights of the first rows for all", "part.weights += first;", ";"),
        ("many: masks of the first rows for all", "part.mask.data += (ptrdiff_t)first * part.mask.row_stride;", ";"),
    ),
    *in_file(
        "core/network/grouping.c",
        ("all sums are one block", "rows < (narrow ? BP_MANY_ROWS : BP_MANY_MORE_ROWS))", "rows < (narrow ? BP_MANY_ROWS : BP_MANY_MORE_ROWS) || rows > 0)"),
    ),
    *in_file(
        "core/passes/forward.c",
        ("forward: the bias of the first panel", "weights.bias ? bp_at(net, weights.bias, first * panel) : NULL", "weights.bias"),
        ("forward: parts of others are not added", "bp_add_places(pass->net, parts, places, last - first, pass->rows);", ""),
        ("forward: each part has the whole sum", "(struct bp_part_of_sum){parts, pieces.group}", "(struct bp_part_of_sum){1, 0}"),
        ("forward: parts of the layer's first panels", "ws->stride, at);\n}", "ws->stride, 0);\n}"),
    ),
    *in_file(
        "core/network/quarters.h",
        ("the first layer is large, too", "return l > 0 && net", "return net"),
        ("layers are large whose outputs are", "net->layers[l].inputs >= BP_LARGE && ", ""),
        ("layers are large whose inputs are", " && net->layers[l].outputs >= BP_LARGE;", ";"),
    ),
    *in_file(
        "core/passes/division.c",
        ("quarters are added in order", "for (size_t apart = 1; apart < count; apart *= 2)\n            for (size_t i = 0; i < count; i += 2 * apart) {", "for (size_t apart = 1; apart < count; apart++)\n            for (size_t i = 0; i < 1; i++) {"),
        ("only two quarters are added", "apart < count; apart *= 2)", "apart < 2 && apart < count; apart *= 2)"),
        ("each quarter has the bias", "        if (s > 0)\n            product.start = NULL;\n", ""),
        ("each quarter is of the first inputs", "bp_const_at(net, whole->a, begin * whole->a_stride)", "whole->a"),
        ("each quarter is of the first weights", "bp_const_at(net, whole->b, begin * panel * whole->b_row)", "whole->b"),
    ),
    *in_file(
        "core/passes/division.h",
        ("parts are of their first quarter", "bp_share(panels, division->quarters, end - 1, &other, last);", "bp_share(panels, division->quarters, begin, &other, last);"),
        ("parts have one place", "(number - 1) * parts->common_each + at", "at"),
        ("mates of a block have the same rows", "(row * grid->mates + mate) * grid->columns + column", "(row * grid->mates) * grid->columns + column"),
        ("backward, blocks are others' than forward", "        me = (row * grid->mates + mate) * grid->columns + column;\n", "        (void)row, (void)column, (void)mate;\n"),
        ("the sums of a large layer are in order on one thread", "return (struct bp_division){BP_QUARTERS, bp_grid_of(pass->threads, pass->ws->rows)};", "return (struct bp_division){pass->threads == 1 ? 1 : BP_QUARTERS, bp_grid_of(pass->threads, pass->ws->rows)};"),
    ),
    *in_file(
        "core/passes/grid.h",
        ("the grid is one row too few", "grid.mates % 2 == 0 && grid.rows < most", "grid.mates % 2 == 0 && grid.rows <= most"),
        ("mates are not counted", "        grid.mates /= 2;\n", "        grid.mates /= 4;\n"),
    ),
    *in_file(
        "core/passes/workspace.c",
        ("no room for several parts", "take(block, bp_most_parts(threads, ws->rows) - 1,", "take(block, 0,"),
        ("one place for the quarters of all threads", "take(block, threads * (BP_QUARTERS - 1),", "take(block, BP_QUARTERS - 1,"),
    ),
    *in_file(
        "core/population/plan.c",
        ("large layers in lanes", "!bp_has_large(net) && ", ""),
    ),
    *in_file(
        "core/passes/losses.c",
        ("classes of the targets are those of the outputs", "net->kernels->classify(own.count, outputs, y,", "net->kernels->classify(own.count, outputs, a,"),
    ),
    *in_file(
        "core/passes/backward.c",
        ("backward: slope dropped", "multiply_by_slope(pass, before->l, first, last,", "if (0) multiply_by_slope(pass, before->l, first, last,"),
        ("backward: rows are not scaled", "net->kernels->scale_rows(own.count, panels, ws->factors + own.first, delta, ws->stride);", ";"),
        ("backward: nothing is carried", "propagate(pass, way->l, division, part, first, last);", ";"),
        ("backward: parts of others are not added", "bp_add_places(net, parts, places, bp_panels(net, pass->rows), k_end - k);", ""),
        ("backward: parts of the layer's first rows", "bp_padded(net->layers[l].inputs) * panel, k * panel);", "bp_padded(net->layers[l].inputs) * panel, 0);"),
        ("backward: blocks update all columns", "if (part.count > 1)\n        bp_panels_of_part(", "if (0)\n        bp_panels_of_part("),
        ("backward: the delta is not turned round", "else if (way->carry)\n        turn_round(", "else if (0)\n        turn_round("),
        ("backward: bfloat16's delta is not carried", "bp_rounded_delta_sums(pass, way->l, first, last);", ";"),
        ("dropout is forgotten on the way back", "if (bp_drops(pass, l))\n        bp_drop_nodes(pass, l, first,", "if (0)\n        bp_drop_nodes(pass, l, first,"),
        ("a missing target pulls", "if (pass->masked && !net->fused)\n", "if (0)\n"),
    ),
    *in_file(
        "core/passes/update.c",
        ("backward: the layer's own input", "const bp_real *a_prev = bp_input_of(pass->ws, l);", "const bp_real *a_prev = pass->ws->nodes[l].a;"),
        ("backward: bias dropped", "update_bias(pass, l, first, last, update);", ";"),
        ("backward: l1 and l2 are left out", "if ((layer->l1 != 0 || layer->l2 != 0) && layer->freedom.rate != 0)", "if (0)"),
        ("backward: the optimizer moves pads", "if (columns % panel > 0)\n", "if (0)\n"),
        ("backward: the optimizer moves one panel of a chunk", "(q + i) * weights.stride + k * panel", "q * weights.stride + k * panel"),
        ("backward: the gradient of the first panel for all", "bp_at(net, outer->c, i * outer->c_stride)", "outer->c"),
        ("backward: rows of the first chunk for all", "outer.a = bp_const_at(net, a_prev, k / panel * ws->stride);", ";"),
    ),
    *in_file(
        "core/train/methods/single.c",
        ("online: the bias stands still", "if (weights.bias)\n            net->kernels->column_sums", "if (0)\n            net->kernels->column_sums"),
        ("online: the last step is lost", "for (size_t l = 0; last && l < net->count; l++)", "for (size_t l = 0; 0 && l < net->count; l++)"),
        ("online: the input of this sample", ".a_last = bp_const_at(net, bp_input_of(last, l), k)", ".a_last = bp_const_at(net, bp_input_of(l == 0 ? ws : last, l), k)"),
        ("online: large layers are summed in order", "division->quarters;\n    struct bp_place places[BP_QUARTERS];\n\n    for (size_t s = 0; s < quarters; s++) {\n        size_t begin, stop;\n        bp_share(bp_panels(net, layer->inputs)", "1;\n    struct bp_place places[BP_QUARTERS];\n\n    for (size_t s = 0; s < quarters; s++) {\n        size_t begin, stop;\n        bp_share(bp_panels(net, layer->inputs)"),
        ("online: what pads of the quarters are left in", "(panels * panel - (end - k)) * net->kernels->size);", "0);"),
        ("online: large layers are carried back in order", "bp_add_places(net, quarters, places, panels, 1);", "bp_add_places(net, 1, places, panels, 1);"),
    ),
    *in_file(
        "core/passes/alone.c",
        ("weights are left out of a gradient", "factor * bp_weight_of(data, rows, i);", "factor;"),
    ),
    *in_file(
        "core/evaluate/gradient.c",
        ("the gradient is a sum", "bp_forward_to_delta(pass, data, n, 1 / weight);", "bp_forward_to_delta(pass, data, n, 1);"),
        ("the gradient is of the last rows", "update.add = true;", "update.add = false;"),
    ),
    *in_file(
        "core/train/step.c",
        ("a step of the sum", "bp_forward_to_delta(&pass, data, 0, (plain ? -optimizer->rate : 1) / weight);",
         "bp_forward_to_delta(&pass, data, 0, plain ? -optimizer->rate : 1);"),
        ("a step uphill", "(plain ? -optimizer->rate : 1) / weight", "(plain ? optimizer->rate : 1) / weight"),
    ),
    *in_file(
        "core/evaluate/second_order.c",
        ("Hessian: V is used once", "propagate(&d, l, ws->nodes[l].delta, d.along, true);", ";"),
        ("Hessian: δ da is left out", "outer.add = true;\n    net->kernels->outer(&outer);", ";"),
        ("Hessian: W da is left out", "if (l > 0)\n        bp_move_sums", "if (0)\n        bp_move_sums"),
        ("Hessian: not a mean", "bp_forward_to_delta(&d.pass, data, n, 1 / weight);", "bp_forward_to_delta(&d.pass, data, n, 1);"),
    ),
    *in_file(
        "core/evaluate/jacobian.c",
        ("Jacobian: rows for columns", "(n * outputs + j) * inputs), outputs * inputs)", "(n * outputs + j) * inputs), inputs)"),
    ),
    *in_file(
        "core/train/feed.c",
        ("weights of samples are left out", "sum == 0 ? 0 : sign * bp_weight_of(data, rows, n) / sum;", "sum == 0 ? 0 : sign / (double)batch.count;"),
    ),
    *in_file(
        "core/train/stop.c",
        ("Ctrl-C amid a step is not looked for", "return run->verdict.stop || bp_poll_if_due(context);", "return run->verdict.stop;"),
    ),
    *in_file(
        "core/train/open.c",
        ("no step is long", "seconds_of_step(t, a.batch) > short_step", "false"),
    ),
    *in_file(
        "core/train/methods/batches.c",
        ("steps before one that is given up are lost", "(run->steps == 0 && !run->applied.in_place)", "true"),
        ("a gradient that was given up moves the weights", "    if (bp_gave_up(run))\n        return;\n", ""),
        ("the rate of the step before", "optimizer.rate = bp_rate_of(run, worker->step);", "optimizer.rate = bp_rate_of(run, worker->step - (worker->step > 0));"),
    ),
    *in_file(
        "core/train/methods/chain.c",
        ("chain: uphill", "own->chain.by.numbers ? 1 : -optimizer.rate;", "own->chain.by.numbers ? 1 : optimizer.rate;"),
        ("chain: a sample without weight moves", "!counts ? 0 : own->chain.by.numbers", "own->chain.by.numbers"),
        ("chain: few samples in their own order", "rows->order ? rows->order + rows->first : NULL;", "NULL;"),
        ("chain: a batch of the rows before", "    worker->pass.rows = rows->count;\n", ""),
        ("chain: what is put aside is never looked at", "    run->vectors.good.finite =\n        net", "    run->vectors.good.finite = true;\n    (void)net"),
        ("chain: what is remembered is not put aside", "for (size_t s = 0; s < BP_STATES && run->vectors.state[s]; s++)", "for (size_t s = 0; false; s++)"),
        ("chain: an interrupt takes the epoch back", "if (next->count == 0 || run->verdict.stop)", "if (next->count == 0)"),
        ("chain by a rule: one step's corrections", "run->applied.first_step + worker->step + n);", "run->applied.first_step + worker->step);"),
        ("chain by a rule: losses without weights", "loss += weight * ws->losses[n];", "loss += ws->losses[n];"),
        ("chain: what diverges in the first steps is not undone", "    bp_copy_beside(run, run->steps > 0 ?", "    if (run->steps > 0)\n        bp_copy_beside(run, run->steps > 0 ?"),
        ("chain: what diverges is not undone", "    bp_copy_beside(run, run->steps > 0 ?", "    if (run->steps == 0)\n        bp_copy_beside(run, run->steps > 0 ?"),
    ),
    *in_file(
        "core/train/methods/online.c",
        ("online: uphill", "bp_turn_round(worker, *rows, -rate)", "bp_turn_round(worker, *rows, rate)"),
    ),
    *in_file(
        "core/train/figures.c",
        ("the record is of the sum", "record[BP_LOSS] = sums->loss / sums->weight;", "record[BP_LOSS] = sums->loss;"),
    ),
    *in_file(
        "core/train/ranks/together.c",
        ("ranks: weights of samples are left out", "factors[n] = bp_weight_of(data, rows, n);", "factors[n] = 1;"),
        ("ranks: the mean over the share", "bp_share_weight(data, rows, batch, sign, factors);", "bp_share_weight(data, rows, rows, sign, factors);"),
        ("ranks: uphill", "? -bp_rate_of(run, worker->step) : 1;", "? bp_rate_of(run, worker->step) : 1;"),
        ("ranks: a step of the sum", "rule.scale /= weight;", ";"),
        ("ranks: the rate of the first step", "optimizer.rate = bp_rate_of(run, worker->step);", "optimizer.rate = bp_rate_of(run, 0);"),
    ),
    *in_file(
        "core/train/ranks/averaging.c",
        ("ranks: no mean of the parameters", "const double share = 1 / (double)ranks->count;", "const double share = 1;"),
    ),
    *in_file(
        "core/train/ranks/common_memory.c",
        ("ranks: the last one is left out", "for (size_t rank = 1; rank < ranks->count; rank++, sum = chunk)",
         "for (size_t rank = 1; rank + 1 < ranks->count; rank++, sum = chunk)"),
        ("ranks: the last row is left out", "all.rows = all.ws->rows;", "all.rows = all.ws->rows - 1;"),
        ("ranks: rows of the batch before stay", "q < last && count < ranks->rows; q++)", "q < last && count > ranks->rows; q++)"),
    ),
    *in_file(
        "core/network/optimizer.c",
        ("adam counts from 0", "const double t = (double)steps + 1;", "const double t = (double)steps + 2;"),
        ("a rate of 0 turns the sign of a zero", "(factor == 0 ? remember_part", "(factor < 0 ? remember_part"),
        ("nesterov is forgotten", ".nesterov = o->nesterov,", ".nesterov = false,"),
        ("beta_1 for beta_2", ".correction_2 = adam ? correction(o->beta_2, t) : 1,", ".correction_2 = adam ? correction(o->beta_1, t) : 1,"),
        ("corrections are 1 too soon", "const double enough = 38;", "const double enough = 3;"),
    ),
    *in_file(
        "core/network/freedom.c",
        ("biases have the weights' rate", "return layer->freedom.bias_rate;", "return layer->freedom.rate;"),
        ("masks begin with the first row", "layer->freedom.mask + k * layer->outputs + j", "layer->freedom.mask + j"),
        ("masked weights are free", "freedom->rate != 0 && (!freedom->mask || freedom->mask[i] != 0);", "freedom->rate != 0;"),
    ),
    *in_file(
        "core/passes/whole_gradient.c",
        ("the norm counts what is frozen", "    if (layer->freedom.rate == 0)\n        return 0;\n", ""),
        ("clipping by the norm squared", "return sqrt(sum) / weight;", "return sum / weight;"),
        ("clipping lengthens", "return scale > 1 ? 1 : scale;", "return scale;"),
    ),
    *in_file(
        "core/network/dropout.c",
        ("one key for all layers", "keys[l] |= random->next(random->state);", "keys[l] = 1;"),
    ),
    *in_file(
        "core/population/train_block.c",
        ("orders are not compared", "memcmp(block->lane[i].order, first, bytes) != 0", "false"),
        ("chosen rows are not compared", "memcmp(lane->chosen, first->chosen, bytes) != 0", "false"),
        ("every part begins a step", "block->lanes.step.begins = n == 0;", "block->lanes.step.begins = true;"),
        ("every part ends a step", "block->lanes.step.ends = rows == left;", "block->lanes.step.ends = true;"),
        ("l1 in the place of l2", "block->plan->group + i, own.l2", "block->plan->group + i, own.l1"),
        ("a lane that is lost ends as it is now", "end_as_good(block, ended, epoch);\n    if", "end_as_now(block, ended);\n    if"),
        ("a lane that is lost keeps its figures", "            figures[lane->member] = NAN;", "            figures[lane->member] += 0;"),
        ("figures of the first members", "losses[first + i] = sums[i] / weights[i];", "losses[i] = sums[i] / weights[i];"),
        ("an infinite loss is finite", "return carried >> 63 == 0;", "return carried >> 63 <= 1;"),
        ("sums of an epoch go on", "    memset(block->lanes.sums.loss, 0, group * sizeof(double));\n", ""),
        ("weights of an epoch go on", "    memset(block->sums.weight, 0, group * sizeof(double));\n", ""),
    ),
    *in_file(
        "core/population/train_block.c",
        ("a lane that has ended goes on", "block->lane[i].alive = block->all_alive = false;", "block->all_alive = false;"),
        ("what has ended keeps what it began with", "        end_as_now(block, ended);\n    for", "        end_as_good(block, ended, epoch);\n    for"),
    ),
    *in_file(
        "core/population/patience.c",
        ("as low as before is no gain", "-objective >= own->best[i]", "-objective > own->best[i]"),
        ("patience is one epoch shorter", "(double)own->waited[i] <= own->most[i]", "(double)own->waited[i] < own->most[i]"),
        ("the first parameters are kept", "        own->best[i] = -objective;\n        memcpy", "        own->best[i] = -objective;\n        if (own->epochs[i] == 1)\n            memcpy"),
        ("the penalty of the last layer", "penalty += 0.5", "penalty = 0.5"),
    ),
    *in_file(
        "core/population/monitor.c",
        ("what stays is better", "> own->least;", ">= own->least;"),
        ("patience is one epoch longer", "now - own->best_epoch[i] >= own->patience", "now - own->best_epoch[i] > own->patience"),
        ("the target is not reached where the loss equals it", "<= own->target", "< own->target"),
        ("epochs of earlier calls do not count", "own->before + epoch + 1", "epoch + 1"),
        ("the loss is looked at for R²", "1 - figure / own->spread[i]", "figure / own->spread[i]"),
        ("the target counts before patience", "own->ended[i] == BP_GOES_ON && ", ""),
    ),
    *in_file(
        "kernels/bodies/regularize.inc",
        ("squares are added up in other parts", "enum { FEW = 128, SUMS = 8 };", "enum { FEW = 64, SUMS = 8 };"),
    ),
    *in_file(
        "core/population/block.c",
        ("lanes that are not wanted are written", "const bool moves = i < block->count ? !wanted || wanted[i] : !wanted;", "const bool moves = i < block->count || !wanted;"),
    ),
    *in_file(
        "core/population/divide.c",
        ("members that rest are trained", "        if (p->members.active[i])\n", ""),
        ("what is left of a fold is lost", "            keys[left++] = keys[i];", "            left += 0;"),
    ),
    *in_file(
        "kernels/bodies/population_online.inc",
        ("no slope on the way back", "NAME(g_prime)(g, NAME(load)(z + of_k + v * LANES), a_k[v]) * sum[v]", "sum[v]"),
        ("delta goes back through what has moved", "sum[v] = NAME(fma)(share, old, sum[v]);\n                    NAME(store)(to, NAME(fma)(a_k[v], share, old));", "NAME(store)(to, NAME(fma)(a_k[v], share, old));\n                sum[v] = NAME(fma)(share, NAME(load)(to), sum[v]);"),
        ("weights stay at the first sample's", "            left.data.weights += group;", "            left.data.weights += 0;"),
        ("a mean over the nodes is their sum", "NAME(lane_add_part)(sums + v, sum, (double)columns);", "NAME(lane_add_to)(sums + v, sum);"),
        ("losses of the first vector", "v < group; v += LANES, a += LANES, y += LANES,", "v < group; v += LANES, y += LANES,"),
        ("the first networks' factors", "NAME(load)(factors + i) * slope", "NAME(load)(factors) * slope"),
        ("the first networks' inputs", "from.a + k * group + i)", "from.a + k * group)"),
        ("softmax in a hidden layer goes this way", "elementwise &= p->layers[l].activation != BP_SOFTMAX;", "elementwise &= l < p->count;"),
    ),
    *in_file(
        "kernels/bodies/population.inc",
        ("the first half's numbers", "part.b += BP_BLOCK_VECTORS * LANES;", "part.b += 0;"),
        ("a deep product begins anew", "            part.start = p->c;", "            part.start = p->start;"),
    ),
    *in_file(
        "core/train/epoch.c",
        ("only the last epoch of several is timed", "size_t e = epoch + 1 - clock->untimed; e <= epoch", "size_t e = epoch; e <= epoch"),
    ),
    *in_file(
        "kernels/bodies/population_outputs.inc",
        ("the mean is no mean", "                slope = slope / nodes;", "                slope = slope * nodes;"),
    ),
    *in_file(
        "core/population/load_block.c",
        ("all lanes have the first one's order", "one ? block->lane[0].order : lane->order", "block->lane[0].order"),
    ),
    *in_file(
        "core/population/member.c",
        ("l2 alone is no penalty", "penalized |= own.l1 != 0 || own.l2 != 0;", "penalized |= own.l1 != 0;"),
    ),
    *in_file(
        "kernels/bodies/population_steps.inc",
        ("losses of a part are added twice", "        p->sums.step[i] = loss[i];\n        loss[i] = 0;", "        p->sums.step[i] = loss[i];"),
    ),
    *in_file(
        "core/solve/lbfgs.c",
        ("lbfgs: from the oldest first", "(memory->next + room - i) % room;\n        const double *s = pair(run, place), *y = s + count;\n        const double curvature", "(memory->next + room - (memory->count + 1 - i)) % room;\n        const double *s = pair(run, place), *y = s + count;\n        const double curvature"),
        ("lbfgs: H begins with 1", "q[i] *= scale;", "q[i] *= 1;"),
        ("lbfgs: the second loop adds only", "run->shares[place] - share", "run->shares[place]"),
        ("lbfgs: the gradient without l2", "gradient[p] += layer->l2 * x[p];", "gradient[p] += 0;"),
        ("lbfgs: l2, not its half", "layer->l2 / 2 * bp_dot", "layer->l2 * bp_dot"),
        ("lbfgs: pairs of another problem stay", "                memory->count = 0;\n                return;", "                return;"),
        ("lbfgs: the next pair goes to the same place", "memory->next = (memory->next + 1) % memory->memory;", "memory->next = 0;"),
    ),
    *in_file(
        "core/solve/line_search.c",
        ("line search: any slope will do", "(low || is_level(s->start, at)) && fabs(at.slope) <= CURVATURE * -s->start.slope", "(low || is_level(s->start, at))"),
        ("line search: any decrease will do", "at.value <= s->start.value + at.step * wanted", "at.value <= s->start.value + at.step"),
    ),
    *in_file(
        "core/solve/levenberg.c",
        ("lm: steps that bend are taken", "if (!(4 * bend <= BEND * BEND * length))", "if (!(bend <= BEND * BEND * length))"),
        ("lm: damping does not fall", "fmax(FALL * there.damping, LEAST * most)", "fmax(there.damping, LEAST * most)"),
        ("lm: damping rises by three", "damping *= RISE)", "damping *= 3)"),
        ("lm: the acceleration with the sign turned", "solve(run, run->residuals.bend, a, -0.5, a)", "solve(run, run->residuals.bend, a, 0.5, a)"),
        ("lm: the gradient without penalties", "run->pulled[p] + run->penalties[p] * run->now.parameters[p]", "run->pulled[p]"),
        ("lm: C without penalties", "reached->objective = reached->loss + run->to_loss * penalty(run, point->parameters);", "reached->objective = reached->loss;"),
    ),
    *in_file(
        "core/solve/bayesian.c",
        ("bayesian: a small gradient ends it", "run->reached.pending = bayes->stage != BP_SETTLED;", "run->reached.pending = false;"),
        ("bayesian: effective parameters of the damped matrix", "if (!bp_levenberg_factorize(run, 0))", "if (true)"),
        ("bayesian: penalties follow after every step", "if (before - run->reached.objective > REST * run->reached.objective) {", "if (before < 0) {"),
        ("bayesian: it does not go back", "if (verdict == BP_GO_BACK) {", "if (false) {"),
        ("bayesian: the λ that are kept are the next", "memcpy(bayes->kept_penalties, bayes->penalties,", "memcpy(bayes->kept_penalties, next.penalties,"),
    ),
    *in_file(
        "core/solve/evidence.c",
        ("evidence: σ² as if no parameter were fitted", "fmax(count - effective, 1)", "fmax(count, 1)"),
        ("evidence: the determinant, not its root", "e->log_determinant / 2", "e->log_determinant"),
        ("evidence: rounding counts as determined", "part.effective > LEAST * part.count && part.squares > 0", "part.squares > 0"),
        ("evidence: the last biases are penalized", "g < biases || l + 1 < net->count}", "true}"),
        ("evidence: biases by the λ of weights", "const double rate = bayes->penalties[g];", "const double rate = bayes->penalties[g > 2 ? 0 : g];"),
        ("evidence: what a λ costs is left out", "next->log_evidence = cost - (e->errors", "next->log_evidence = 0 - (e->errors"),
        ("evidence: more λ cost no more than one", "cost += cost_of(part.effective);", "cost = cost_of(part.effective);"),
        ("evidence: patience ends one λ earlier", "if (next->waited > PATIENCE ||", "if (next->waited >= PATIENCE ||"),
        ("evidence: weights that are 0 stay so", "return nothing ? BP_GO_BACK : better", "return better"),
        ("evidence: the last stage's is taken", "if (next->log_evidence > bayes->kept_log_evidence)\n        return BP_KEEP;", "return BP_KEEP;"),
    ),
    *in_file(
        "core/solve/residuals.c",
        ("residuals: weights without their root", "return weight == 1 ? 1 : sqrt(weight);", "return weight;"),
        ("residuals: of missing targets", "if (pass->masked && mask[at(pass->ws->stride, n, j)] == 0)", "if (false)"),
        ("residuals: v, not 2 v", "r->twice[p] = 2 * r->along[p];", "r->twice[p] = r->along[p];"),
    ),
    *in_file(
        "core/solve/normal.c",
        ("normal: blocks of another point stay", "n->panels_stride, slot > 0);", "n->panels_stride, true);"),
        ("normal: the mask of another weight", "if (mask[k * outputs + j]) {", "if (mask[j * inputs + k]) {"),
    ),
    *in_file(
        "core/solve/matrix.c",
        ("matrix: rows of U are added", "to[i] = -from[i];", "to[i] = from[i];"),
        ("matrix: a diagonal without its largest part", "for (size_t i = k; i < u->order; i++)\n            sum +=", "for (size_t i = k + 1; i < u->order; i++)\n            sum +="),
    ),
    *in_file(
        "core/solve/objective.c",
        ("objective: the last group alone", "(g == 0 ? 0 : gradient[p])", "0"),
        ("objective: the forward pass of the point before", "o->resident != sweep->point)", "o->resident == NOTHING)"),
    ),
    *in_file(
        "core/solve/solve.c",
        ("evaluations are added up", "    o->evaluations = 0;\n", ""),
        ("a target that is not reached ends it", "reached->loss <= asked->limits.target ?", "reached->loss <= 2 * asked->limits.target ?"),
    ),
    *in_file(
        "backprop/fit/whole_batch.py",
        ("whole batch: N with missing targets", "residuals = int(np.count_nonzero(samples.mask))", "pass"),
        ("whole batch: what a callback changes is overlooked", "return self.stopped or changed", "return self.stopped"),
        ("whole batch: a matrix of any size", "if needed is None or needed > memory:", "if needed is None:"),
    ),
    *in_file(
        "backprop/solvers.py",
        ("solvers: a first damping is forgotten", 'self._settings["damping"] or 0.0', "0.0"),
        ("solvers: a ring's place of any value", "count in range(self.memory + 1) and place in range(self.memory)", "count in range(self.memory + 1)"),
    ),
]  # fmt: skip


ONE_INSTRUCTION_SET = """
#include "isa/bf16.h"
extern const struct bp_kernels bp_kernels_f32_{isa}, bp_kernels_f64_{isa};
static const struct bp_kernels *const only[BP_DTYPES][2] = {{{{&bp_kernels_f32_{isa}}}, {{&bp_kernels_f64_{isa}}}}};
const struct bp_kernels *const *bp_kernel_candidates(enum bp_dtype dtype) {{ return only[dtype]; }}
const struct bp_kernels *
bp_select_kernels(enum bp_dtype dtype, const char *isa)
{{
    return isa && strcmp(only[dtype][0]->isa, isa) != 0 ? NULL : only[dtype][0];
}}
const struct bp_mixed *
bp_select_mixed(const struct bp_kernels *kernels, enum bp_precision precision, const char **why_not)
{{
    (void)kernels;
    *why_not = precision == BP_BFLOAT16 ? "only the emulation is there" : NULL;
    return precision == BP_BFLOAT16_EMULATED ? &bp_mixed_emulated : NULL;
}}
"""


BFLOAT16 = ("bf16_emulated", "avx512_bf16", "amx")  # of isa/, beside the one instruction set


def best_instruction_set():
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        flags = ""
    return "avx2" if re.search(r"\bavx2\b", flags) and re.search(r"\bfma\b", flags) else "baseline"


def includes(path, seen):
    """All files of ours that a file includes, itself too."""
    if path in seen:
        return seen
    seen.add(path)
    for name in re.findall(r'#(?:include|define BODIES) "([^"]+)"', path.read_text(encoding="utf-8")):
        for folder in (path.parent, csrc_of(path)):
            if (folder / name).is_file():
                includes(folder / name, seen)
                break
    return seen


def module_of(name):
    """The path of the only module of tests that has a name."""
    (path,) = (ROOT / "tests").rglob(f"test_{name}.py")
    return path.relative_to(ROOT).as_posix()


def csrc_of(path):
    return next(parent for parent in path.parents if parent.name == "csrc")


class Copy:
    """The sources in a folder of their own, built there."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.csrc = self.folder / "csrc"
        self.objects = self.folder / "objects"
        self.isa = best_instruction_set()

    def fill(self):
        for name in ("csrc", "backprop", "tests", "docs"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            ignored = shutil.ignore_patterns("*.so", "__pycache__")
            shutil.copytree(ROOT / name, self.folder / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, self.folder)
        kernels = self.csrc / "kernels"
        for path in kernels.glob("isa/*.c"):
            if path.stem in BFLOAT16:
                continue
            if path.stem != self.isa:
                path.unlink()
            else:  # the same bodies once more, for short vectors, are not needed
                text = re.sub("#define NARROW_BYTES.*", "", path.read_text(encoding="utf-8"))
                path.write_text(text, encoding="utf-8")
        text = ONE_INSTRUCTION_SET.format(isa=self.isa)
        (kernels / "select_kernels.c").write_text(text, encoding="utf-8")
        self.objects.mkdir(exist_ok=True)

    def object_of(self, source):
        return self.objects / "_".join(source.relative_to(self.csrc).with_suffix(".o").parts)

    def build(self, changed=None):
        """Compiles what depends on a changed file, or all; links. The compiler's message, or None."""
        compiler = [*os.environ.get("CC", "cc").split(), "-O1", "-std=c11", "-fPIC", "-ffp-contract=off"]
        paths = [f"-I{self.csrc}", f"-I{numpy.get_include()}", f"-I{sysconfig.get_path('include')}"]
        interface = zlib.crc32((self.folder / "backprop" / "_core.pyi").read_bytes())  # as in setup.py
        sources = sorted(self.csrc.rglob("*.c"))
        for source in sources:
            if changed and changed not in includes(source, set()):
                continue
            target = self.object_of(source)
            done = subprocess.run(
                [*compiler, *paths, "-DNPY_NO_DEPRECATED_API=NPY_2_0_API_VERSION",
                 "-DNPY_TARGET_VERSION=NPY_2_0_API_VERSION", f"-DBP_INTERFACE={interface}UL", "-c", source, "-o", target],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                return done.stderr
        objects = [self.object_of(source) for source in sources]
        target = self.folder / "backprop" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
        subprocess.run([*compiler, "-shared", *objects, "-o", target, "-lm", "-lpthread"], check=True)
        return None

    def test(self, file=""):
        """What killed a mutant of a file, or None."""
        names = dict.fromkeys([*FIRST.get(Path(file).stem, ()), *TESTS])
        files = [module_of(name) for name in names]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly",
                   "--no-header", *files]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("BACKPROP_ISA", None)
        try:
            done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True,
                                  timeout=SECONDS, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            return "it hangs"
        if done.returncode == 0:
            return None
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, flags=re.MULTILINE)
        if failed:
            return failed[1]
        if done.returncode < 0 or "Fatal Python error" in done.stderr:
            return f"it crashes ({done.returncode})"
        raise SystemExit(f"pytest itself failed:\n{done.stdout}\n{done.stderr}")


def places(mutant):
    return path_in(ROOT, mutant).read_text(encoding="utf-8").count(mutant.old)


def path_in(root, mutant):
    return root / ("" if mutant.file.endswith(".py") else "csrc") / mutant.file


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--list", action="store_true", help="names only; whether each is found in the sources"
    )
    parser.add_argument("--work", help="a folder to build in, kept; else a temporary one")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()

    lost = [f"{m.file}: {m.name}: found {places(m)} times" for m in MUTANTS if places(m) != 1]
    if arguments.list:
        print(*(f"{m.file}: {m.name}" for m in MUTANTS), sep="\n")
    if lost:
        sys.exit("not exactly once in the sources:\n" + "\n".join(lost))
    if arguments.list:
        return
    chosen = [m for m in MUTANTS if not arguments.names or m.name in arguments.names]
    if not chosen or len(chosen) < len(arguments.names):
        sys.exit("no mutant has such a name")

    with tempfile.TemporaryDirectory() as temporary:
        copy = Copy(arguments.work or temporary)
        copy.folder.mkdir(exist_ok=True)
        copy.fill()
        if message := copy.build():
            sys.exit(message)
        if killer := copy.test():
            sys.exit(f"the sources as they are fail {killer}")
        survivors = [m.name for m in chosen if not killed(copy, m)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants died ({copy.isa})")
    if survivors:
        sys.exit("survived: " + "; ".join(survivors))


def killed(copy, mutant):
    path, begun = path_in(copy.folder, mutant), time.monotonic()
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        if message := copy.build(path):
            sys.exit(f"{mutant.name} does not compile:\n{message}")
        killer = copy.test(mutant.file)
    finally:
        path.write_text(whole, encoding="utf-8")
        copy.build(path)
    seconds = time.monotonic() - begun
    print(f"{seconds:5.0f} s  {mutant.file}: {mutant.name}: {killer or 'SURVIVES'}", flush=True)
    return killer is not None


if __name__ == "__main__":
    main()
