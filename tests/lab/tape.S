# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The tape guest: an operating system of one boot sector whose only work is to leave traces which prove from which moment
# its disks and its memory are.
#
# It counts rounds in RAM. In each round it writes the number of the round to every BIOS disk, in the order of the disks, so
#     disk 0 >= disk 1 >= disk 2 >= disk 0 - 1
# holds at every instant: a set of images which breaks it was not taken at one instant.
# A disk keeps the last four rounds in a ring, sectors 1 to 4; round r is in sector 1 + r % 4. What a disk has seen is the
# largest of its four records. A record: "TAPE", the round (32 bit, little endian), the same as 8 hex digits, newline.
# Before it writes, the guest looks for round r - 2 on the disk. If it is not there, the disk is not from the moment of the
# memory. Not r - 1, because a memory snapshot may fall between this look and the write.
#
# On the serial port:
#     tape boot v=1 00000013 00000012 00000012    what each disk has seen, at the start
#     tape stale 1 00000051 0000003d              disk 1 holds 0x51 in the place where the memory expects 0x3d
#     tape off 0000004a                           the power button was pressed: orderly end, after this round
#
# guest.py says how to assemble it, and patches the letter after "v=" and the word at offset 508.

        .intel_syntax noprefix
        .code16
        .global _start

        .set    ROUND, 0x7e00           # the round, 32 bit
        .set    FIRST, 0x7e04           # the largest round that any disk had seen at boot
        .set    DIGITS, 0x7e10          # scratch for text
        .set    RING, 0x8000            # the four sectors of a disk
        .set    RING_END, RING + 4 * 512
        .set    DISKS, 0x475            # BIOS data area: number of hard disks
        .set    MAGIC, 0x45504154       # "TAPE"
        .set    COM1, 0x3f8
        .set    PM1_STATUS, 0x600       # the ACPI registers of both the pc and the q35 machine
        .set    PM1_ENABLE, 0x602
        .set    PM1_CONTROL, 0x604
        .set    POWER_BUTTON, 0x100

_start: cli
        xor     eax, eax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        sti
        cld
        mov     [ROUND], eax
        mov     dx, PM1_ENABLE          # without this the button does not set its status bit
        mov     ax, POWER_BUTTON
        out     dx, ax

        mov     si, offset booted
        call    print
        xor     bx, bx                  # bl: the disk
survey: call    load
        xor     eax, eax                # the largest round in the ring
        mov     di, RING
1:      cmp     dword ptr [di], MAGIC
        jne     2f
        cmp     eax, [di + 4]
        jae     2f
        mov     eax, [di + 4]
2:      add     di, 512
        cmp     di, RING_END
        jb      1b
        call    print_number
        cmp     eax, [ROUND]
        jbe     3f
        mov     [ROUND], eax
3:      inc     bx
        cmp     bl, [DISKS]
        jb      survey
        call    print_newline
        mov     eax, [ROUND]
        mov     [FIRST], eax

play:   inc     dword ptr [ROUND]
        xor     bx, bx
turn:   call    load
        mov     eax, [ROUND]
        sub     eax, 2                  # the round to find
        cmp     eax, [FIRST]
        jle     record                  # before this boot: written, if at all, by somebody else
        mov     di, ax
        and     di, 3
        shl     di, 9
        mov     ecx, [RING + 4 + di]
        cmp     ecx, eax
        je      record
        push    eax
        push    ecx
        mov     si, offset stale
        call    print
        mov     al, bl
        add     al, '0'
        call    print_char
        pop     eax
        call    print_number
        pop     eax
        call    print_number
        call    print_newline

record: mov     eax, [ROUND]
        mov     di, RING
        mov     dword ptr [di], MAGIC
        mov     [di + 4], eax
        add     di, 8
        call    to_hex
        mov     byte ptr [di], '\n'
        mov     di, ax
        and     di, 3
        inc     di
        mov     ax, 0x4301              # write; verify off
        mov     cx, 1
        call    transfer
        inc     bx
        cmp     bl, [DISKS]
        jb      turn

        mov     dx, PM1_STATUS
        in      ax, dx
        test    ax, POWER_BUTTON
        jnz     off
        mov     cx, [ticks]
4:      hlt                             # until the next timer tick, 55 ms
        loop    4b
        jmp     play

off:    mov     si, offset ended
        call    print
        mov     eax, [ROUND]
        call    print_number
        call    print_newline
        mov     dx, PM1_CONTROL
        mov     ax, 0x2000              # sleep enable, type 0: soft off
        out     dx, ax
        hlt
        jmp     off

# The ring of disk bl to RING.
load:   mov     ax, 0x4200
        mov     cx, 4
        mov     di, 1
# INT 13h function ax on disk bl: cx sectors between sector di and RING.
transfer:
        mov     [packet_count], cx
        mov     [packet_sector], di
        mov     dl, bl
        add     dl, 0x80
        mov     si, offset packet
        push    bx
        int     0x13
        pop     bx
        ret

# Space and eax as 8 hex digits. Keeps eax.
print_number:
        mov     di, DIGITS
        mov     byte ptr [di], ' '
        inc     di
        call    to_hex
        mov     byte ptr [di], 0
        mov     si, DIGITS
        push    eax
        call    print
        pop     eax
        ret

# eax as 8 hex digits to di, which moves on. Keeps eax: eight rotations by four bits are none.
to_hex: mov     cx, 8
5:      rol     eax, 4
        push    ax
        and     al, 15
        cmp     al, 10
        jb      6f
        add     al, 'a' - '0' - 10
6:      add     al, '0'
        stosb
        pop     ax
        loop    5b
        ret

# The text at si, ended by a zero byte.
print:  lodsb
        test    al, al
        jz      7f
        call    print_char
        jmp     print
print_newline:
        mov     al, '\n'
print_char:
        mov     dx, COM1
        out     dx, al
7:      ret

        .balign 4
packet: .byte   16, 0
packet_count:
        .word   0
        .word   RING, 0
packet_sector:
        .quad   0

booted: .asciz  "\ntape boot v=1"
stale:  .asciz  "tape stale "
ended:  .asciz  "tape off"

        .org    508
ticks:  .word   1
        .word   0xaa55                  # at 510: bootable
