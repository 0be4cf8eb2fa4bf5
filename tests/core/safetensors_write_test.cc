/* tests/core/safetensors_write_test.cc - the safetensors writer: round trips, refusals, and what becomes of the file it
 * replaces.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/core/safetensors_case.h"

namespace {

using namespace safetensors_case;

TEST_F(SafetensorsTest, ManyTensorsOfEveryDtypeComeBack) {
  std::mt19937_64 random(20261122);
  const mo_dtype_t dtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3, MO_DTYPE_INT8,
                               MO_DTYPE_INT32,   MO_DTYPE_INT64,   MO_DTYPE_UINT8,    MO_DTYPE_BOOL};
  const int count = 2003;
  std::vector<std::string> names;
  std::vector<std::vector<uint64_t>> data;
  std::vector<mo_tensor> tensors;
  for (int i = 0; i < count; ++i) {
    names.push_back("layer." + std::to_string(random() % 1000000) + "." + std::to_string(i) + (i % 7 == 0 ? ".ä\"\\\n" : ""));
    int64_t shape[MO_MAX_DIMS];
    const int rank = static_cast<int>(random() % (MO_MAX_DIMS + 1));
    int64_t elements = 1;
    for (int d = 0; d < rank; ++d) elements *= shape[d] = static_cast<int64_t>(random() % (rank > 4 ? 3 : 6));
    data.emplace_back(static_cast<size_t>(elements) + 1);
    for (uint64_t &word : data.back()) word = random();
    tensors.emplace_back();
    ASSERT_EQ(mo_tensor_init(&tensors.back(), data.back().data(), dtypes[random() % 9], kCpu, rank, shape), MO_STATUS_OK);
  }
  std::vector<const char *> name_pointers;
  for (const std::string &name : names) name_pointers.push_back(name.c_str());
  const char *keys[] = {"format", "order", "ünï"};
  const char *values[] = {"pt", "a,b\n\"c\"", ""};
  const std::string path = Path("many.safetensors");
  ASSERT_EQ(mo_safetensors_write(path.c_str(), name_pointers.data(), tensors.data(), count, keys, values, 3), MO_STATUS_OK)
      << mo_last_error();
  EXPECT_EQ(FilesInFolder(), 1u);
  mo_safetensors_t *raw = nullptr;
  ASSERT_EQ(mo_safetensors_open(path.c_str(), &raw), MO_STATUS_OK) << mo_last_error();
  File file(raw);
  ASSERT_EQ(mo_safetensors_count(raw), count);
  for (int i = 0; i < 3; ++i) EXPECT_STREQ(mo_safetensors_metadata(raw, keys[i]), values[i]);
  for (int i = 0; i < count; ++i) {
    const mo_tensor &wanted = tensors[static_cast<size_t>(i)];
    mo_tensor tensor;
    ASSERT_EQ(mo_safetensors_tensor(raw, name_pointers[static_cast<size_t>(i)], &tensor), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(tensor.dtype, wanted.dtype);
    ASSERT_EQ(tensor.rank, wanted.rank);
    for (int d = 0; d < wanted.rank; ++d) ASSERT_EQ(tensor.shape[d], wanted.shape[d]);
    ASSERT_EQ(memcmp(tensor.data, wanted.data, static_cast<size_t>(mo_tensor_bytes(&wanted))), 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data) % mo_dtype_bytes(tensor.dtype), 0u);
  }
  // Falling width, then the name; the data at a multiple of 8.
  size_t width = 8;
  std::string previous;
  for (int64_t i = 0; i < count; ++i) {
    mo_tensor tensor;
    const std::string name = mo_safetensors_name(raw, i);
    ASSERT_EQ(mo_safetensors_tensor(raw, name.c_str(), &tensor), MO_STATUS_OK);
    ASSERT_LE(mo_dtype_bytes(tensor.dtype), width);
    width = mo_dtype_bytes(tensor.dtype);
  }
  std::ifstream stream(path, std::ios::binary);
  unsigned char length[8];
  stream.read(reinterpret_cast<char *>(length), 8);
  EXPECT_EQ(length[0] % 8, 0);
}

TEST_F(SafetensorsTest, WriterRefusesWhatItCannotWriteAndLeavesTheOldFile) {
  const std::string path = Path("kept.safetensors");
  ASSERT_EQ(mo_test_safetensors_write(path.c_str()), MO_STATUS_OK);
  float data[6] = {};
  const int64_t shape[] = {2, 3};
  mo_tensor good;
  ASSERT_EQ(mo_tensor_init(&good, data, MO_DTYPE_FLOAT32, kCpu, 2, shape), MO_STATUS_OK);
  const auto write = [&](std::vector<const char *> names, std::vector<mo_tensor> tensors, std::vector<const char *> keys = {},
                         std::vector<const char *> values = {}) {
    return mo_safetensors_write(path.c_str(), names.data(), tensors.data(), static_cast<int64_t>(names.size()), keys.data(),
                                values.data(), static_cast<int64_t>(keys.size()));
  };
  mo_tensor strided = good, away = good, unknown = good, dangling = good;
  strided.shape[1] = 2;
  away.device = {MO_DEVICE_KIND_CUDA, 0};
  unknown.dtype = MO_DTYPE_NONE;
  dangling.data = nullptr;
  mo_tensor wide = good;
  wide.dtype = MO_DTYPE_UINT8;
  EXPECT_EQ(write({"t"}, {strided}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("\"t\" is not contiguous"), std::string::npos) << mo_last_error();
  EXPECT_EQ(write({"t"}, {away}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {unknown}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("\"t\""), std::string::npos) << mo_last_error();
  EXPECT_EQ(write({"t"}, {dangling}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t", "u", "t"}, {good, good, wide}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("occurs twice"), std::string::npos) << mo_last_error();
  EXPECT_EQ(write({"__metadata__"}, {good}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({nullptr}, {good}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"\xFF"}, {good}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {good}, {"k", "k"}, {"1", "2"}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {good}, {"k"}, {nullptr}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {good}, {"k"}, {"\xFF"}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {good}, {"\xFF"}, {"v"}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(path.c_str(), nullptr, &good, 1, nullptr, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(path.c_str(), nullptr, nullptr, -1, nullptr, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(path.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 1), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(nullptr, nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write("", nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(Path("no/such/folder").c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_IO_ERROR);
  std::filesystem::create_directory(Path("folder"));
  EXPECT_EQ(mo_safetensors_write(Path("folder").c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_IO_ERROR);
  EXPECT_EQ(FilesInFolder(), 2u);  // the old file and the folder, no temporary
  EXPECT_EQ(mo_test_safetensors_read(path.c_str()), 0);
  EXPECT_EQ(mo_safetensors_write(path.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_test_safetensors_read(path.c_str()), 2);
}

TEST_F(SafetensorsTest, WriterRemovesItsTemporaryWhenAWriteFails) {
  // A file size limit gives the same failing write() as a full disk.
  float data[4096] = {};
  const int64_t shape[] = {4096};
  mo_tensor tensor;
  ASSERT_EQ(mo_tensor_init(&tensor, data, MO_DTYPE_FLOAT32, kCpu, 1, shape), MO_STATUS_OK);
  const char *name = "t";
  const auto write_limited = [&] {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    limit.rlim_cur = limit.rlim_max = 4096;
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(mo_safetensors_write(Path("full").c_str(), &name, &tensor, 1, nullptr, nullptr, 0));
  };
  EXPECT_EXIT(write_limited(), testing::ExitedWithCode(MO_STATUS_IO_ERROR), "");
  EXPECT_EQ(FilesInFolder(), 0u);
}

// What stands at the path of a file that is written: its kind afterwards, and whether there is content.
class WriterTarget : public SafetensorsTest {
 protected:
  static mo_status_t Write(const std::string &path) {
    static float value = 3;
    const int64_t shape[] = {1};
    const mo_tensor tensor = mo_tensor_cpu(&value, MO_DTYPE_FLOAT32, 1, shape);
    const char *name = "t";
    return mo_safetensors_write(path.c_str(), &name, &tensor, 1, nullptr, nullptr, 0);
  }
  static mode_t Mode(const std::string &path) {
    struct stat found;
    return lstat(path.c_str(), &found) == 0 ? found.st_mode : 0;
  }
  static void ExpectWritten(const std::string &path) {
    File file;
    mo_safetensors_t *raw = nullptr;
    EXPECT_EQ(mo_safetensors_open(path.c_str(), &raw), MO_STATUS_OK) << mo_last_error();
    file.reset(raw);
    EXPECT_EQ(mo_safetensors_count(raw), 1);
    EXPECT_TRUE(S_ISREG(Mode(path)));
  }
};

TEST_F(WriterTarget, LinksAreFollowedAndStay) {
  ASSERT_EQ(mkdir(Path("sub").c_str(), 0777), 0);
  std::ofstream(Path("sub/old")) << "old";
  ASSERT_EQ(symlink("sub/old", Path("link").c_str()), 0);
  ASSERT_EQ(symlink("link", Path("second").c_str()), 0);
  ASSERT_EQ(Write(Path("second")), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(S_ISLNK(Mode(Path("second"))));
  EXPECT_TRUE(S_ISLNK(Mode(Path("link"))));
  ExpectWritten(Path("sub/old"));
  ASSERT_EQ(symlink(Path("sub/new").c_str(), Path("dangling").c_str()), 0);
  ASSERT_EQ(Write(Path("dangling")), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(S_ISLNK(Mode(Path("dangling"))));
  ExpectWritten(Path("sub/new"));
  ASSERT_EQ(symlink("loop", Path("loop").c_str()), 0);
  EXPECT_EQ(Write(Path("loop")), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(S_ISLNK(Mode(Path("loop"))));
  EXPECT_EQ(FilesInFolder(), 5u) << "nothing else was made";
}

TEST_F(WriterTarget, WhatIsNoFileStays) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0666), 0);
  EXPECT_EQ(Write(Path("pipe")), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(S_ISFIFO(Mode(Path("pipe"))));
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(Path("socket").size(), sizeof address.sun_path);
  strcpy(address.sun_path, Path("socket").c_str());
  ASSERT_EQ(bind(listener, reinterpret_cast<struct sockaddr *>(&address), sizeof address), 0);
  EXPECT_EQ(Write(Path("socket")), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(S_ISSOCK(Mode(Path("socket"))));
  close(listener);
  ASSERT_EQ(symlink("/dev/null", Path("null").c_str()), 0);
  EXPECT_EQ(Write(Path("null")), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Write("/dev/null"), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(S_ISCHR(Mode("/dev/null")));
  EXPECT_EQ(Write("/dev/full"), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(S_ISCHR(Mode("/dev/full")));
  if (mknod(Path("disk").c_str(), S_IFBLK | 0666, makedev(7, 200)) == 0) { /* for a privileged process only */
    EXPECT_EQ(Write(Path("disk")), MO_STATUS_IO_ERROR);
    EXPECT_TRUE(S_ISBLK(Mode(Path("disk"))));
  }
  EXPECT_EQ(Write(Path("")), MO_STATUS_IO_ERROR);
}

TEST_F(WriterTarget, LongNames) {
  for (const size_t length : {1, 200, 250, 255}) {
    const std::string path = Path(std::string(length, 'n'));
    ASSERT_EQ(Write(path), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(Write(path), MO_STATUS_OK) << "a second time: " << mo_last_error();
    ExpectWritten(path);
  }
  EXPECT_EQ(Write(Path(std::string(256, 'n'))), MO_STATUS_IO_ERROR);
  EXPECT_EQ(FilesInFolder(), 4u);
}

TEST_F(WriterTarget, PermissionsOfTheReplacedFileAreKept) {
  const mode_t before = umask(027);
  ASSERT_EQ(Write(Path("new")), MO_STATUS_OK);
  EXPECT_EQ(Mode(Path("new")) & 07777, 0640u) << "a new file has what the process gives";
  ASSERT_EQ(chmod(Path("new").c_str(), 0604), 0);
  ASSERT_EQ(Write(Path("new")), MO_STATUS_OK);
  umask(before);
  EXPECT_EQ(Mode(Path("new")) & 07777, 0604u);
  ExpectWritten(Path("new"));
}

// A process that is ended while it writes leaves the old file, and nothing beside it.
TEST_F(WriterTarget, NothingStaysBehindWhenTheProcessEnds) {
  ASSERT_EQ(Write(Path("file")), MO_STATUS_OK);
  std::vector<float> data(1 << 22);
  const int64_t shape[] = {static_cast<int64_t>(data.size())};
  const mo_tensor tensor = mo_tensor_cpu(data.data(), MO_DTYPE_FLOAT32, 1, shape);
  const char *name = "t";
  for (int delay = 0; delay < 12; ++delay) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) (void)mo_safetensors_write(Path("file").c_str(), &name, &tensor, 1, nullptr, nullptr, 0);
    }
    usleep(static_cast<useconds_t>(2000 + 1500 * delay));
    kill(child, SIGINT);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    File file;
    mo_safetensors_t *raw = nullptr;
    EXPECT_EQ(mo_safetensors_open(Path("file").c_str(), &raw), MO_STATUS_OK) << mo_last_error();
    file.reset(raw);
  }
  EXPECT_EQ(FilesInFolder(), 1u);
}

}  // namespace
