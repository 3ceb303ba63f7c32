/* divide.h: which members are trained side by side, and which alone. Depends on plan.h. */
#ifndef BP_DIVIDE_H
#define BP_DIVIDE_H

#include "plan.h"

struct bp_member_division {
    struct block_plan plan;
    uint32_t *members; /* [active]: block by block, and then those that are trained alone */
    uint32_t *first;   /* [blocks + 1]: where each block begins among them, and those alone */
    size_t active, blocks;
};

/* Divides the active members; BP_OK, or BP_NO_MEMORY. To be released in any case. */
enum bp_status
bp_divide_members(const struct bp_population *, struct bp_member_division *);
void
bp_release_member_division(struct bp_member_division *);

#endif
