#include "runtime/sys/switch.h"

#include <stdint.h>
#include <string.h>

/* The frame that tr__switch pushes, lowest address first; tr__switch_prepare builds the same by hand. */
#if defined(__x86_64__)

struct frame {
    uint32_t mxcsr, x87;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    void (*ret)(void);
    uint64_t stop; /* a null return address: unwinders end here */
};

__asm__(".text\n"
        ".globl tr__switch\n"
        ".hidden tr__switch\n"
        ".type tr__switch,@function\n"
        "tr__switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movl (%rsp), %eax\n"
        "    movzwl 4(%rsp), %ecx\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    cmpl (%rsp), %eax\n" /* nearly always the same on both sides, and slow to load */
        "    jne 1f\n"
        "    cmpw 4(%rsp), %cx\n"
        "    je 2f\n"
        "1:  ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "2:  addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size tr__switch,.-tr__switch\n");

static void frame_init(struct frame *frame, void (*entry)(void))
{
    frame->mxcsr = 0x1f80; /* the ABI's initial control words */
    frame->x87 = 0x037f;
    frame->ret = entry;
}

#elif defined(__aarch64__)

struct frame {
    uint64_t d8_15[8];
    uint64_t x19_28[10];
    uint64_t fp;
    void (*ret)(void);
};

__asm__(".text\n"
        ".globl tr__switch\n"
        ".hidden tr__switch\n"
        ".type tr__switch,%function\n"
        "tr__switch:\n"
        "    sub sp, sp, #160\n"
        "    stp d8, d9, [sp, #0]\n"
        "    stp d10, d11, [sp, #16]\n"
        "    stp d12, d13, [sp, #32]\n"
        "    stp d14, d15, [sp, #48]\n"
        "    stp x19, x20, [sp, #64]\n"
        "    stp x21, x22, [sp, #80]\n"
        "    stp x23, x24, [sp, #96]\n"
        "    stp x25, x26, [sp, #112]\n"
        "    stp x27, x28, [sp, #128]\n"
        "    stp x29, x30, [sp, #144]\n"
        "    mov x2, sp\n"
        "    str x2, [x0]\n"
        "    mov sp, x1\n"
        "    ldp d8, d9, [sp, #0]\n"
        "    ldp d10, d11, [sp, #16]\n"
        "    ldp d12, d13, [sp, #32]\n"
        "    ldp d14, d15, [sp, #48]\n"
        "    ldp x19, x20, [sp, #64]\n"
        "    ldp x21, x22, [sp, #80]\n"
        "    ldp x23, x24, [sp, #96]\n"
        "    ldp x25, x26, [sp, #112]\n"
        "    ldp x27, x28, [sp, #128]\n"
        "    ldp x29, x30, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size tr__switch,.-tr__switch\n");

static void frame_init(struct frame *frame, void (*entry)(void))
{
    frame->ret = entry;
}

#else
#error "port runtime/sys/switch.c to this CPU"
#endif

void *tr__switch_prepare(void *top, void (*entry)(void))
{
    struct frame *frame = (struct frame *)(void *)((char *)top - sizeof(struct frame));
    memset(frame, 0, sizeof(*frame));
    frame_init(frame, entry);
    return frame;
}
