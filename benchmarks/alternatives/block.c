/* A block of memory as a C library takes it: a tool that follows calls of malloc sees this one. */
#include <stdlib.h>
#include <string.h>

void *take_block(size_t size) {
    void *block = malloc(size);
    if (block != NULL) {
        memset(block, 1, size);
    }
    return block;
}

void give_block(void *block) {
    free(block);
}
