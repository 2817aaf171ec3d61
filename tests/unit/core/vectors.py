"""Digests and states that were not computed by what they test."""

_448_BITS = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
_896_BITS = (
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
)
_A_MILLION = b"a" * 1_000_000
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_ISCSI_READ = bytes.fromhex(
    "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 00000000 02000000 00000000"
)

# (name, message, digest). CRCs are values: RFC 3720 prints the bytes of the same numbers the other way round.
STANDARDS = [
    # RFC 1321, A.5
    ("md5", b"", "d41d8cd98f00b204e9800998ecf8427e"),
    ("md5", b"a", "0cc175b9c0f1b6a831c399e269772661"),
    ("md5", b"abc", "900150983cd24fb0d6963f7d28e17f72"),
    ("md5", b"message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
    ("md5", _LETTERS, "c3fcd3d76192e4007dfb496cca67e13b"),
    ("md5", _LETTERS.upper() + _LETTERS + b"0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
    ("md5", b"1234567890" * 8, "57edf4a22be3c955ac49da2e2107b67a"),
    # FIPS 180-2, appendices A to C
    ("sha", b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("sha", _448_BITS, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
    ("sha", _A_MILLION, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ("sha-256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha-256", _448_BITS, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    ("sha-256", _A_MILLION, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    (
        "sha-512",
        b"abc",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ),
    (
        "sha-512",
        _896_BITS,
        (
            "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
            "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
        ),
    ),
    (
        "sha-512",
        _A_MILLION,
        (
            "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
            "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"
        ),
    ),
    # RFC 3720, B.4
    ("crc32c", bytes(32), "8a9136aa"),
    ("crc32c", b"\xff" * 32, "62a8ab43"),
    ("crc32c", bytes(range(32)), "46dd794e"),
    ("crc32c", bytes(range(31, -1, -1)), "113fdb5c"),
    ("crc32c", _ISCSI_READ, "d9963a56"),
    # the check values of the CRCs: of ITU-T V.42's, and of NVM Express's
    ("crc32", b"123456789", "cbf43926"),
    ("crc64nvme", b"123456789", "ae8b14860a799888"),
]

# (name, one block, the words after it): FIPS 180-2, A.2 and B.2, print those after the first block of a padded message.
FIRST_BLOCKS = [
    ("sha", _448_BITS + b"\x80" + bytes(7), "f4286818c37b27ae0408f581846771484a566572"),
    ("sha-256", _448_BITS + b"\x80" + bytes(7), "85e655d6417a17953363376a624cde5c76e09589cac5f811cc4b32c1f20e533a"),
]

# States of zeros and the digests of these streams 200 bytes further on, which would take a test seconds to hash.
# At 2^29 bytes the count of bits in the structs of md5, sha and sha-256 carries into its upper half; at 2^32 the count
# of bytes outgrows 32 bits. Made once by hashing all of it, the digests by hashlib, those of the CRCs by combining the
# CRCs of shorter runs of zeros.
# (name, boundary) -> (words at boundary - 100, digest at boundary + 100)
ZEROS = {
    ("md5", 2**29): (
        "fd83531d2e5e0e65a38a4c39c3f20a92",
        "2fd298086ae19f076b408e275af7598c",
    ),
    ("sha-512", 2**29): (
        "9ba1793d432c2edee33cf0b4876b9be3037a7ce3fad19f2db1b2afd01b6ee255dfc7c62526218873e417b33b12d968d26e28168e46a8c008cd4a5fe1287d641f",
        "f940925fc30e821f4c3e565e57cb1d083fa29ce83d772eecf7307cef1877874037726117b54866032e9129030df92e766eccc42bcc42d155822dd7606ca4c8ed",
    ),
    ("sha-256", 2**29): (
        "c9999a1567db83aa511fc3e736ccf62b4ee2805da5372e30932c2c1e4c29efaf",
        "b5e920a66e366cc320737a98fb79ccb913ae38f4cf0c03b27595cf492a695503",
    ),
    ("sha", 2**29): (
        "b30f23a178ecd936a5e7fa0b991683055bfe1f4a",
        "c5215538017064a4d9ab0eb3108f0bd32a89bfaa",
    ),
    ("crc32", 2**29): (
        "08093c91",
        "217ce045",
    ),
    ("crc32c", 2**29): (
        "ea941103",
        "8089fa41",
    ),
    ("crc64nvme", 2**29): (
        "cdb7e7e7775e747b",
        "4c10050508ad5f5b",
    ),
    ("md5", 2**32): (
        "b85c01315a67401f5ce8639bac386a1a",
        "3601846a07f37ff8fbbeed3a1a7999b7",
    ),
    ("sha-512", 2**32): (
        "19e52dfeafaf947592701ff973c36e0caeb20bc75cb2ebb984b0cacf2b13b290635d6b9e0d42c233f85b401253825cad51d21bc96b97555e3e314606a529f9f1",
        "0c9121eeb489de8cbcd2c42be05b7ec959803cbfd5ddb2b2ed0c6b6867506797d8d5f45c9b181bc650509aada23002b62eda5508562b1a642313fe951458d7a5",
    ),
    ("sha-256", 2**32): (
        "baa96d8fe30758fc272e28f75837fa445b236355e352461fb0adf39fc912c7da",
        "577d1bdcfb357ff6b5cfa8d863aba0847fea65faa1ff00f6daf1caedb30a7b3f",
    ),
    ("sha", 2**32): (
        "2e9c1defffdc5b1b5d4c99c7083fc9eb7549e9a3",
        "ed4e242fbb152330b464d8812afead7ba2e2a07a",
    ),
    ("crc32", 2**32): (
        "71758c86",
        "a92a4ce5",
    ),
    ("crc32c", 2**32): (
        "90f95ddc",
        "108fcf66",
    ),
    ("crc64nvme", 2**32): (
        "26b297cb965ab156",
        "a6002e76fd2c975d",
    ),
}
