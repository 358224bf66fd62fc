/* mem.h: where messages, arenas and control data come from: size-class pools of the running core.
 *
 * Blocks of up to 4 KiB come from the calling thread's free lists (workers) or from malloc (other threads,
 * larger blocks, and everything under AddressSanitizer, so that it sees each one).
 * Invariants: 1. any thread may free any block; 2. the class stored by the owner of a block is what it is
 * freed with; 3. bytes taken and given back are counted per core, so "all freed" can be asserted.
 */
#ifndef TROUPE_CORE_MEM_H
#define TROUPE_CORE_MEM_H

#include <stddef.h>
#include <stdint.h>

/** Size class of a request; tr__mem_class_bytes gives what the block really holds. Classes >= TR__MEM_LARGE
 *  are malloc'd. */
#define TR__MEM_LARGE 255u
uint8_t tr__mem_class(size_t bytes);
/** 16-byte aligned, not zeroed; NULL only when the system has no memory. *class must be handed to
 *  tr__mem_free. bytes also counts for accounting: give the same number back. */
void *tr__mem_alloc(size_t bytes, uint8_t *mem_class);
void tr__mem_free(void *block, size_t bytes, uint8_t mem_class);

#endif
