/* switch.h: leaving one C stack for another.
 *
 * tr__switch saves the callee-saved registers and the floating point control words on the running stack,
 * stores its stack pointer in *from and continues on the stack whose saved pointer is to. No signal mask, no
 * system call.
 *
 * Invariants
 *  1. A saved pointer is resumed at most once, and only on the thread that saved it: compilers keep addresses
 *     of
 *     thread-local variables (errno first of all) across the call.
 *  2. The entry function of a fresh stack never returns.
 */
#ifndef TROUPE_SYS_SWITCH_H
#define TROUPE_SYS_SWITCH_H

void tr__switch(void **from, void *to);
/** Prepares a stack whose highest address is top (16-byte aligned) so that switching to the result calls
 *  entry(). */
void *tr__switch_prepare(void *top, void (*entry)(void));

#endif
