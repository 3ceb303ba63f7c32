/* A program for a Cortex-M without an operating system: classifies samples, and prints the classes as digits by
 * semihosting. network.c is what to_c(integers=True) wrote, samples.h has SAMPLES, INPUTS and samples[][]. */
#include "network.c"
#include "samples.h"

static void
semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void
reset(void)
{
    enum { WRITE_TEXT = 0x04, EXIT = 0x18, APPLICATION_EXIT = 0x20026 };
    static const uint32_t end = APPLICATION_EXIT;
    char text[SAMPLES + 1];

    for (uint32_t n = 0U; n < (uint32_t)SAMPLES; n++)
        text[n] = (char)('0' + network_classify(samples[n]));
    text[SAMPLES] = '\0';
    semihosting(WRITE_TEXT, text);
    semihosting(EXIT, (const void *)(uintptr_t)end);
    for (;;)
        ;
}

/* the stack's top, and where to begin */
struct vectors {
    uint32_t stack;
    void (*reset)(void);
};
__attribute__((section(".vectors"), used)) static const struct vectors vectors = {0x20004000U, reset};
