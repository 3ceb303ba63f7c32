/* The clock of core/base/clock.h where JavaScript has it: performance.now(), in milliseconds. Takes the place of
 * core/base/clock.c in the WebAssembly. Depends on clock.h. */
#include "core/base/clock.h"

__attribute__((import_module("host"), import_name("now"))) double bp_host_now(void);

uint64_t
bp_nanoseconds_now(void)
{
    return (uint64_t)(1e6 * bp_host_now());
}
