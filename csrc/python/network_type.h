/* network_type.h: the type backprop._core.Network. Depends on arguments.h. */
#ifndef BP_NETWORK_TYPE_H
#define BP_NETWORK_TYPE_H

#include "arguments.h"

extern PyType_Spec bp_network_spec;

extern const struct bp_signature bp_layer_signature, bp_network_setup_signature;

#endif
