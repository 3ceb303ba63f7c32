#include "names.h"

#include <stddef.h>

#define NAME(enumerator, name, ...) name,

const char *const bp_dtype_names[] = {BP_EACH_DTYPE(NAME) NULL};
const char *const bp_activation_names[] = {BP_EACH_ACTIVATION(NAME) NULL};
const char *const bp_loss_names[] = {BP_EACH_LOSS(NAME) NULL};
const char *const bp_rule_names[] = {BP_EACH_RULE(NAME) NULL};
const char *const bp_precision_names[] = {BP_EACH_PRECISION(NAME) NULL};
