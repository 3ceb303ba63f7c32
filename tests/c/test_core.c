/* test_core: tests/fuzz/fuzz_core.c without libFuzzer, for sanitizers, valgrind and coverage with
 * any compiler. In the repository's root:
 *   cc -g -O1 -std=c11 -ffp-contract=off -fsanitize=address,undefined -Icsrc -Itests/fuzz \
 *      tests/c/test_core.c tests/fuzz/[a-z]*.c $(find csrc/core csrc/kernels -name '*.c') -lm -lpthread
 *
 *   ./test_core [count [file ...]]
 * runs the files, then `count` strings of random bytes, the same ones every time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_BYTES = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static uint8_t
next_byte(uint64_t *state)
{
    *state = *state * 6364136223846793005 + 1442695040888963407;
    return (uint8_t)(*state >> 56);
}

int
main(int count, char **arguments)
{
    uint8_t input[MOST_BYTES];
    const long strings = count > 1 ? strtol(arguments[1], NULL, 10) : 1000;
    uint64_t state = 1;

    for (int i = 2; i < count; i++) {
        FILE *file = fopen(arguments[i], "rb");
        if (!file) {
            perror(arguments[i]);
            return 1;
        }
        const size_t size = fread(input, 1, sizeof(input), file);
        fclose(file);
        LLVMFuzzerTestOneInput(input, size);
    }
    for (long i = 0; i < strings; i++) {
        for (size_t j = 0; j < MOST_BYTES; j++)
            input[j] = next_byte(&state);
        LLVMFuzzerTestOneInput(input, MOST_BYTES);
    }
    printf("%d files and %ld random strings\n", count > 2 ? count - 2 : 0, strings);
    return 0;
}
