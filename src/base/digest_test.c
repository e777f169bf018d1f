/* BLAKE2b against the RFC's own self test, the published digest of "abc", and what CPython's hashlib gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"

static void digest_of(void *out, size_t out_size, const void *data, size_t size, const void *key,
                      size_t key_size)
{
    sb_digest_state state;
    sb_digest_init(&state, out_size, key, key_size);
    sb_digest_add(&state, data, size);
    sb_digest_end(&state, out);
}

static void assert_hex(const void *digest, const char *hex)
{
    char text[2 * SB_DIGEST_SIZE + 1];
    for (size_t i = 0; i < SB_DIGEST_SIZE; i++) {
        snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)digest)[i]);
    }
    assert_string_equal(text, hex);
}

/* RFC 7693, appendix E: its sequence of bytes. */
static void self_test_bytes(uint8_t *out, size_t size, uint32_t seed)
{
    uint32_t a = 0xDEAD4BADu * seed;
    uint32_t b = 1;
    for (size_t i = 0; i < size; i++) {
        const uint32_t t = a + b;
        a = b;
        b = t;
        out[i] = (uint8_t)(t >> 24);
    }
}

/* The digest over the digests of many inputs, result sizes and keys, as appendix E has it. */
static void test_the_self_test_of_the_rfc(void **state)
{
    (void)state;
    static const size_t result_sizes[] = {20, 32, 48, 64};
    static const size_t input_sizes[] = {0, 3, 128, 129, 255, 1024};
    uint8_t input[1024];
    uint8_t key[64];
    uint8_t result[64];
    sb_digest_state whole;
    sb_digest_init(&whole, 32, NULL, 0);
    for (size_t r = 0; r < SB_COUNT_OF(result_sizes); r++) {
        const size_t size = result_sizes[r];
        for (size_t i = 0; i < SB_COUNT_OF(input_sizes); i++) {
            self_test_bytes(input, input_sizes[i], (uint32_t)input_sizes[i]);
            digest_of(result, size, input, input_sizes[i], NULL, 0);
            sb_digest_add(&whole, result, size);
            self_test_bytes(key, size, (uint32_t)size);
            digest_of(result, size, input, input_sizes[i], key, size);
            sb_digest_add(&whole, result, size);
        }
    }
    sb_digest_end(&whole, result);
    assert_hex(result, "c23a7800d98123bd10f506c61e29da5603d763b8bbad2e737f5e765a7bccd475");
    digest_of(result, 32, "abc", 3, NULL, 0);
    assert_hex(result, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

/* Byte i of the input is 7i + 3, of the key i. */
static void test_as_hashlib(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        size_t key_size;
        const char *hex;
    } cases[] = {
        {0, 0, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
        {0, 1, "52897a9c27e9781839168d22a76145b07a8a7f8cd85c1d3709e5b09468405099"},
        {0, 32, "4e51e7a913fc80137da52880fecca175bf81e117d5c68126dc2774033517ea0d"},
        {0, 64, "2fa9fbd9be36437de204e139e97d402bce68c828f43391608c891b5faed8a98a"},
        {1, 0, "e88bd757ad5b9bedf372d8d3f0cf6c962a469db61a265f6418e1ffed86da29ec"},
        {1, 1, "47e5daff0e6063e52e2a9f7a9ae66a60d5d9688170f906cbb877d57394a7de47"},
        {1, 32, "5500a8ed696e45255a024afc49a57aa45ea21a254c30dcdea61da13552c6c0b1"},
        {1, 64, "17b2fd75e36b2c3a9a6d6ed84731a449e5bacbf9ae68d93e1cb0ecde3eb4eb62"},
        {3, 0, "9facd640130c81e7f318a8d5c660bc1b0f5d03861ffbd4cc1358e0e904593c28"},
        {3, 32, "2f28ee247d3e95ec9bcd4c3a548a3b462c0c6984103ab363e6ce01fe746046d6"},
        {3, 64, "af941a1a94d31cfc64414021b35a0688ce04f3981ef5c606da9a6fd85a13fe10"},
        {127, 0, "c9ae3859964b35f04c54b36d33cf299d7290ee621005d28e51598a943560aaaa"},
        {127, 32, "c3253e55529ca7cb4a3a1002693e4619dbe2058b7adf354274208dc607a3870d"},
        {127, 64, "3d07545539a2ca92ec6e544f0ea268421ad0c7dffc4a856f53b13781250ca37a"},
        {128, 0, "f0501d06597880592bc49234eef100ec1ff349058d0e9d9b753504e24af86dd6"},
        {128, 32, "45b27f69ea3c381242d369fafdfc8cbd54e710c242bea80d0372c8df23776cda"},
        {128, 64, "9b6691cf6902ddf6056b7a5b93e8c02d7decee301115346a9b940ba13f517d2f"},
        {129, 0, "a34a4e1e03c541dfbf3099c4b6c143c022ced65c28bd7e8a10e0a098461aecf0"},
        {129, 32, "b0534a69d4c565fa8c962fb05d0f2ce99f70dddad00a95a220abf0b2ea4f41c8"},
        {129, 64, "a3e4f675d80ce7a846bdf2d7f6aac7fa0512a2a781f6748900829471bc6b7dcb"},
        {255, 0, "f2d64a40e9412a3414161ff6250075225418fd7c271c1123e162e1bca0de9f93"},
        {255, 32, "068b81fe7962997facc482936c6d5d026cdb7c833428aff87262eb31ce3001a1"},
        {255, 64, "a1d44e8f493fcc8dcb562c214ffc1d92977da2f916cf269b415cc86e9779bbe1"},
        {256, 0, "d93ebb9c802f5630ab22516fd82b6c21bc8bd551d531349b715f046ed11ed871"},
        {256, 32, "80408e16e6976cfa903a875c075c9affc55d71dd0674fd02a279cab70a312a96"},
        {256, 64, "a730863371dda83261f7eff7db82639f786f0885e754a71877296f9d9e9ca021"},
        {257, 0, "4ce481b24d387422d2bc2baa03d1afd55a1327939ff537c71eb9b38709268649"},
        {257, 32, "98bfc6a3d52e5cb525e045aab764641f05ae6821a04d4777112cd195fcbcb8c2"},
        {257, 64, "8c8c9577c68b1bb97f290bcf9daf1d41bd00aefccc12ad00870ce3a14d7b0543"},
        {1000, 0, "d62b6c768ce1afc8367e0498ab2f8e3f7c178c35b1429f14c4604b545d200f52"},
        {1000, 32, "eb07b428f1674f6598aaecf9b898c520824910d6f4c531e6f62f81b9d5946387"},
        {1000, 64, "4ddfb7c82fdfd2e95f322666814d68afe7d2c9ece8ccc4932d6622d9242dd386"},
    };
    uint8_t data[1000];
    uint8_t key[64];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(7 * i + 3);
    }
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)i;
    }
    for (size_t c = 0; c < SB_COUNT_OF(cases); c++) {
        sb_digest whole;
        digest_of(&whole, sizeof(whole), data, cases[c].size, key, cases[c].key_size);
        assert_hex(&whole, cases[c].hex);
        for (size_t piece = 1; piece < 300; piece += 37) {
            sb_digest_state digest;
            sb_digest pieces;
            sb_digest_init(&digest, sizeof(pieces), key, cases[c].key_size);
            for (size_t at = 0; at < cases[c].size; at += piece) {
                const size_t left = cases[c].size - at;
                sb_digest_add(&digest, data + at, left < piece ? left : piece);
            }
            sb_digest_end(&digest, &pieces);
            assert_true(sb_digest_equal(&whole, &pieces));
        }
    }
}

static void test_equal(void **state)
{
    (void)state;
    sb_digest a = {{1, 2, 3}};
    for (size_t i = 0; i < sizeof(a.bytes); i++) {
        sb_digest b = a;
        assert_true(sb_digest_equal(&a, &b));
        b.bytes[i] ^= 0x80;
        assert_false(sb_digest_equal(&a, &b));
    }
}

static void test_keys_do_not_stay(void **state)
{
    (void)state;
    const sb_digest_state none = {0};
    const uint8_t key[32] = "a key that nobody may see";
    sb_digest digest;
    sb_digest_state used;
    sb_digest_init(&used, sizeof(digest), key, sizeof(key));
    sb_digest_end(&used, &digest);
    assert_memory_equal(&used, &none, sizeof(none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_self_test_of_the_rfc),
        cmocka_unit_test(test_as_hashlib),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_keys_do_not_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
