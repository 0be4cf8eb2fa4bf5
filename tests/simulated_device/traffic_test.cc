/* tests/simulated_device/traffic_test.cc - the counts of memory traffic themselves: kernels of known traffic, copies, fills,
 * products, memory that is given back; and each kind of waste that the counts exist for is seen.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/traffic.h"

#include "tests/simulated_device/planted_traffic.h"
#include "tests/simulated_device/traffic_case.h"

namespace simulated {
namespace {

constexpr uint64_t kBytes = kPlantedCount * sizeof(float), kLines = kBytes / 128;

class TrafficCounts : public TrafficCase {
 protected:
  void SetUp() override {
    TrafficCase::SetUp();
    in_ = &Random("in", MO_DTYPE_FLOAT32, {kPlantedCount});
    out_ = &Empty("out", MO_DTYPE_FLOAT32, {kPlantedCount});
    /* The first half is there, of the second every other number. */
    std::vector<uint8_t> mask(kPlantedCount);
    for (size_t i = 0; i < mask.size(); ++i) mask[i] = i < kPlantedCount / 2 || i % 2 == 0;
    mask_ = &Values("mask", MO_DTYPE_UINT8, {kPlantedCount}, mask);
  }
  void Launch(PlantedTraffic kind) {
    Count([&] {
      const auto stream = static_cast<cudaStream_t>(mo_context_stream(context_));
      const cudaError_t error =
          launch_planted(kind, static_cast<float *>(out_->tensor.data), static_cast<const float *>(in_->tensor.data),
                         static_cast<const unsigned char *>(mask_->tensor.data), stream);
      return error == cudaSuccess ? MO_STATUS_OK : MO_STATUS_DEVICE_ERROR;
    });
    ExpectOneLaunch();
    ExpectNoScratch();
  }
  DeviceTensor *in_ = nullptr, *out_ = nullptr, *mask_ = nullptr;
};

TEST_F(TrafficCounts, ACopyReadsAndWritesEveryByteOnce) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    simulated_set_seed(seed);
    for (const PlantedTraffic kind : {PlantedTraffic::kCopy, PlantedTraffic::kCopyByElement, PlantedTraffic::kCopyAsync}) {
      SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(kind) << " seed " << seed);
      Launch(kind);
      ExpectRead(*in_);
      ExpectWritten(*out_);
      ExpectUntouched(*mask_);
      EXPECT_EQ(Of(*in_).read_unwritten, kBytes) << "an input: what the window did not see written";
    }
  }
}

TEST_F(TrafficCounts, PlantedSecondReadShows) {
  for (const PlantedTraffic kind : {PlantedTraffic::kReadTwice, PlantedTraffic::kReadTwiceAtOnce}) {
    Launch(kind);
    EXPECT_EQ(Of(*in_).read, 2 * kBytes);
    EXPECT_EQ(Of(*in_).read_distinct, kBytes);
  }
}

TEST_F(TrafficCounts, PlantedPiecesOfLinesShow) {
  Launch(PlantedTraffic::kPiecesOfLines);
  EXPECT_EQ(Of(*out_).written, kBytes) << "every byte once";
  EXPECT_EQ(Of(*out_).line_writes, 2 * kLines) << "but each line by two warps";
  EXPECT_EQ(Of(*out_).whole_line_writes, 0u);
}

TEST_F(TrafficCounts, PlantedSecondWriteShows) {
  Launch(PlantedTraffic::kWriteTwice);
  EXPECT_EQ(Of(*out_).written, 2 * kBytes);
  EXPECT_EQ(Of(*out_).written_distinct, kBytes);
  EXPECT_EQ(Of(*out_).line_writes, 2 * kLines);
}

TEST_F(TrafficCounts, PlantedReadOfMaskedBytesShows) {
  Launch(PlantedTraffic::kReadMasked);
  ExpectRead(*in_);
  Launch(PlantedTraffic::kReadUnmasked);
  EXPECT_EQ(Of(*in_).read, 3 * kBytes / 4);
  EXPECT_EQ(Of(*in_, 0, kBytes / 2).read, kBytes / 2);
  for (uint64_t i = kPlantedCount / 2; i < kPlantedCount; ++i) EXPECT_EQ(Of(*in_, 4 * i, 4).read, i % 2 == 0 ? 4u : 0u) << i;
  ExpectRead(*mask_);
}

TEST_F(TrafficCounts, LanesThatReadTheSameAreOneRead) {
  Launch(PlantedTraffic::kBroadcast);
  EXPECT_EQ(Of(*in_).read_distinct, 4u);
  /* Two warps, and a lane reads it once per number it writes, unless the compiler keeps it. */
  EXPECT_GE(Of(*in_).read, 2 * 4u);
  EXPECT_LE(Of(*in_).read, uint64_t{2} * 4 * kPlantedCount / kPlantedThreads);
}

TEST_F(TrafficCounts, CopiesFillsAndHostTransfers) {
  const auto stream = static_cast<cudaStream_t>(mo_context_stream(context_));
  std::vector<float> host(kPlantedCount);
  Count([&] {
    EXPECT_EQ(cudaMemsetAsync(out_->tensor.data, 0, kBytes / 2, stream), cudaSuccess);
    EXPECT_EQ(cudaMemcpyAsync(static_cast<char *>(out_->tensor.data) + kBytes / 2, in_->tensor.data, kBytes / 2,
                              cudaMemcpyDeviceToDevice, stream),
              cudaSuccess);
    /* Every other 64 bytes. */
    EXPECT_EQ(cudaMemcpy2DAsync(host.data(), 64, in_->tensor.data, 128, 64, kLines, cudaMemcpyDeviceToHost, stream),
              cudaSuccess);
    EXPECT_EQ(cudaMemcpyAsync(mask_->tensor.data, host.data(), 16, cudaMemcpyHostToDevice, stream), cudaSuccess);
    return MO_STATUS_OK;
  });
  ExpectWritten(*out_);
  EXPECT_EQ(Of(*in_).read, kBytes / 2);
  EXPECT_EQ(Of(*in_).copied_to_host, 64 * kLines);
  EXPECT_EQ(Of(*in_, 0, 64).copied_to_host, 64u);
  EXPECT_EQ(Of(*in_, 64, 64).copied_to_host, 0u);
  ExpectUntouched(*mask_);
  EXPECT_EQ(Launches(), 0u);
}

TEST_F(TrafficCounts, MemoryThatIsGivenBackStaysInTheSum) {
  const auto stream = static_cast<cudaStream_t>(mo_context_stream(context_));
  Count([&] {
    void *scratch = nullptr;
    EXPECT_EQ(cudaMallocAsync(&scratch, kBytes, stream), cudaSuccess);
    EXPECT_EQ(launch_planted(PlantedTraffic::kCopy, static_cast<float *>(scratch), static_cast<const float *>(in_->tensor.data),
                             nullptr, stream),
              cudaSuccess);
    EXPECT_EQ(launch_planted(PlantedTraffic::kCopy, static_cast<float *>(out_->tensor.data),
                             static_cast<const float *>(scratch), nullptr, stream),
              cudaSuccess);
    EXPECT_EQ(cudaFreeAsync(scratch, stream), cudaSuccess);
    return MO_STATUS_OK;
  });
  EXPECT_EQ(Launches(), 2u) << Kernels();
  EXPECT_EQ(Rest().written, kBytes);
  EXPECT_EQ(Rest().read, kBytes);
  EXPECT_EQ(Rest().read_unwritten, 0u);
  EXPECT_EQ(Rest().whole_line_writes, kLines);
  EXPECT_EQ(Of(*out_).read_unwritten, 0u);
}

TEST_F(TrafficCounts, NothingIsCountedOutsideOfTheWindow) {
  Launch(PlantedTraffic::kCopy);
  const auto stream = static_cast<cudaStream_t>(mo_context_stream(context_));
  ASSERT_EQ(launch_planted(PlantedTraffic::kCopy, static_cast<float *>(out_->tensor.data),
                           static_cast<const float *>(in_->tensor.data), nullptr, stream),
            cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  ExpectRead(*in_);
  ExpectWritten(*out_);
}

}  // namespace
}  // namespace simulated
