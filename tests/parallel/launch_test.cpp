// Who this process is, by the variables of each launcher.
#include "engine/parallel/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace convoy {
namespace {

using testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

Launch launched(const Variables& variables) {
  return launch_of([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string refusal(const Variables& variables) {
  try {
    launched(variables);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

const Variables kTorchrun = {{"RANK", "5"},
                             {"WORLD_SIZE", "8"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "4"},
                             {"MASTER_ADDR", "node1"},
                             {"MASTER_PORT", "29500"}};

TEST(Launch, WithoutVariablesAProcessIsAlone) {
  const Launch launch = launched({});
  EXPECT_EQ(launch.launcher, Launcher::none);
  EXPECT_EQ(launch.place.size, 1);
}

TEST(Launch, ReadsTorchruns) {
  const Launch launch = launched(kTorchrun);
  EXPECT_EQ(launch.launcher, Launcher::variables);
  EXPECT_EQ(launch.place.rank, 5);
  EXPECT_EQ(launch.place.size, 8);
  EXPECT_EQ(launch.place.local_rank, 1);
  EXPECT_EQ(launch.place.local_size, 4);
  EXPECT_EQ(launch.place.meeting, "node1:29500");
}

TEST(Launch, LeavesTorchrunsAgentItsPort) {
  Variables variables = kTorchrun;
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_EQ(launched(variables).place.meeting, "node1:29501");
  variables["MASTER_ADDR"] = "fe80::1";
  EXPECT_EQ(launched(variables).place.meeting, "[fe80::1]:29501");
}

TEST(Launch, ReadsSlurmsOfAStep) {
  const Variables step = {{"SLURM_STEP_NUM_TASKS", "4"},
                          {"SLURM_PROCID", "3"},
                          {"SLURM_LOCALID", "1"},
                          {"MASTER_ADDR", "node1"},
                          {"MASTER_PORT", "12345"}};
  const Launch launch = launched(step);
  EXPECT_EQ(launch.launcher, Launcher::variables);
  EXPECT_EQ(launch.place.rank, 3);
  EXPECT_EQ(launch.place.size, 4);
  EXPECT_EQ(launch.place.local_rank, 1);
  EXPECT_EQ(launch.place.meeting, "node1:12345");
  // The batch script itself has these.
  EXPECT_EQ(launched({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_LOCALID", "0"}}).launcher,
            Launcher::none);
}

TEST(Launch, MpiGoesBeforeSlurmAndTorchrun) {
  Variables variables = kTorchrun;
  variables["SLURM_STEP_NUM_TASKS"] = "4";
  for (const auto& [name, value] :
       Variables{{"OMPI_COMM_WORLD_SIZE", "2"}, {"PMI_SIZE", "2"}, {"PMIX_RANK", "1"}}) {
    Variables with_mpi = variables;
    with_mpi[name] = value;
    EXPECT_EQ(launched(with_mpi).launcher, Launcher::mpi) << name;
  }
  EXPECT_EQ(launched({{"OMPI_COMM_WORLD_SIZE", "1"}, {"PMIX_RANK", "0"}}).launcher, Launcher::none);
  const Launch open_mpi = launched({{"OMPI_COMM_WORLD_SIZE", "4"},
                                    {"OMPI_COMM_WORLD_RANK", "2"},
                                    {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                    {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}});
  EXPECT_EQ(open_mpi.place.size, 4);
  EXPECT_EQ(open_mpi.place.rank, 2);
  EXPECT_EQ(open_mpi.place.local_rank, 1);
  EXPECT_EQ(open_mpi.place.local_size, 2);
}

TEST(Launch, RefusesWhatIsSetByHalves) {
  Variables variables = kTorchrun;
  variables.erase("LOCAL_RANK");
  variables["MASTER_ADDR"] = "";
  EXPECT_THAT(refusal(variables), HasSubstr("RANK is set, but not LOCAL_RANK, MASTER_ADDR"));
  EXPECT_THAT(refusal({{"WORLD_SIZE", "2"}}), HasSubstr("WORLD_SIZE is set, but not RANK"));
  EXPECT_THAT(refusal({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}}),
              HasSubstr("Slurm started 2 tasks, but not MASTER_ADDR, MASTER_PORT"));
}

TEST(Launch, RefusesWhatCannotBe) {
  const std::map<std::string, std::pair<std::string, std::string>> wrong = {
      {"RANK", {"8", "RANK=8 is not below WORLD_SIZE=8"}},
      {"WORLD_SIZE", {"0", "WORLD_SIZE=0 is not a whole number from 1 on"}},
      {"LOCAL_RANK", {"1x", "LOCAL_RANK=1x is not a whole number from 0 on"}},
      {"MASTER_PORT", {"70000", "MASTER_PORT=70000 is not a whole number from 1 to 65535"}}};
  for (const auto& [name, value_and_text] : wrong) {
    Variables variables = kTorchrun;
    variables[name] = value_and_text.first;
    EXPECT_THAT(refusal(variables), HasSubstr(value_and_text.second));
  }
}

}  // namespace
}  // namespace convoy
