"""Part of websocket.pyx: masking and UTF-8, eight bytes a step."""

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* `at` is where in the payload `from` begins: a frame may come in pieces. */
    static void pw_mask(uint8_t *restrict to, const uint8_t *restrict from, size_t n, const uint8_t *key, size_t at) {
        uint8_t turned[4];
        uint64_t wide;
        uint32_t four;
        size_t i = 0;
        for (int j = 0; j < 4; j++) turned[j] = key[(at + j) & 3];
        memcpy(&four, turned, 4);
        wide = ((uint64_t)four << 32) | four;
        for (; i + 8 <= n; i += 8) {
            uint64_t part;
            memcpy(&part, from + i, 8);
            part ^= wide;
            memcpy(to + i, &part, 8);
        }
        for (; i < n; i++) to[i] = from[i] ^ turned[i & 3];
    }

    /* The states of UTF-8 (Unicode 15, table 3-7): 0 is between two characters, 1 is wrong for good; the others say
       which bytes may follow. */
    enum { PW_OK, PW_BAD, PW_1, PW_2, PW_3, PW_E0, PW_ED, PW_F0, PW_F4 };
    static int pw_utf8(int state, const uint8_t *p, size_t n) {
        for (size_t i = 0; i < n; i++) {
            uint8_t c = p[i];
            switch (state) {
            case PW_OK:
                if (c < 0x80) {
                    uint64_t part;
                    while (i + 9 <= n) {
                        memcpy(&part, p + i + 1, 8);
                        if (part & 0x8080808080808080u) break;
                        i += 8;
                    }
                    break;
                }
                if (c >= 0xC2 && c <= 0xDF) state = PW_1;
                else if (c == 0xE0) state = PW_E0;
                else if (c == 0xED) state = PW_ED;
                else if (c >= 0xE1 && c <= 0xEF) state = PW_2;
                else if (c == 0xF0) state = PW_F0;
                else if (c >= 0xF1 && c <= 0xF3) state = PW_3;
                else if (c == 0xF4) state = PW_F4;
                else return PW_BAD;
                break;
            case PW_1: if ((c & 0xC0) != 0x80) return PW_BAD; state = PW_OK; break;
            case PW_2: if ((c & 0xC0) != 0x80) return PW_BAD; state = PW_1; break;
            case PW_3: if ((c & 0xC0) != 0x80) return PW_BAD; state = PW_2; break;
            case PW_E0: if (c < 0xA0 || c > 0xBF) return PW_BAD; state = PW_1; break;
            case PW_ED: if (c < 0x80 || c > 0x9F) return PW_BAD; state = PW_1; break;
            case PW_F0: if (c < 0x90 || c > 0xBF) return PW_BAD; state = PW_2; break;
            case PW_F4: if (c < 0x80 || c > 0x8F) return PW_BAD; state = PW_2; break;
            default: return PW_BAD;
            }
        }
        return state;
    }
    """
    void pw_mask(uint8_t*, const uint8_t*, size_t, const uint8_t*, size_t) noexcept nogil
    int pw_utf8(int, const uint8_t*, size_t) noexcept nogil
    int PW_OK, PW_BAD
