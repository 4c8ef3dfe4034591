/* Roles of a made-up clip: two video frames with two people side by side, and a sentence of each. */
#ifndef CLIP_H
#define CLIP_H

#include "attention_kernels.h"

#define CLIP_TOKENS 96

typedef struct clip {
    uint8_t modality[CLIP_TOKENS];
    int64_t speakers[CLIP_TOKENS];
    int32_t frames[CLIP_TOKENS][2];
} clip;

/* Lays the tokens out: 8 of the system prompt, 2 frames of 4 x 8 visual tokens (left half: speaker 0, right half: speaker 1), 12 words of each speaker. */
static inline attention_kernels_roles clip_roles(clip *clip)
{
    for (int t = 0; t < CLIP_TOKENS; t++) {
        int visual = t - 8, word = t - 72;
        int shown = visual >= 0 && word < 0;
        clip->modality[t] = shown ? ATTENTION_KERNELS_VISUAL : word < 0 ? ATTENTION_KERNELS_SYSTEM : ATTENTION_KERNELS_TEXT;
        clip->speakers[t] = shown ? 1 << (visual % 8 / 4) : word >= 0 ? 1 << (word / 12) : 0;
        clip->frames[t][0] = shown ? visual / 32 : 0;
        clip->frames[t][1] = shown ? visual / 32 + 1 : 2;
    }
    return (attention_kernels_roles){sizeof(attention_kernels_roles), 1, CLIP_TOKENS, clip->modality, clip->speakers, clip->frames[0]};
}

#endif
