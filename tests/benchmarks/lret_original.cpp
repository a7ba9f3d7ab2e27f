// Runs one circuit on the original LRET: FILE MODE THRESHOLD OUT. Prints the seconds of its simulation and the rank, and
// writes L to OUT, column by column, complex numbers in double precision. Built by bench_lret_original.py.
#include <chrono>
#include <fstream>
#include <iostream>
#include <string>

#include "parallel_modes.h"
#include "simulator.h"

int main(int count, char** words) {
    using namespace qlret;
    if (count != 5) return 2;
    std::ifstream in(words[1]);
    size_t qubits = 0, first = 0, second = 0;
    in >> qubits;
    QuantumSequence sequence(qubits);
    std::string name;
    double parameter = 0;
    while (in >> name >> parameter >> first >> second) {
        if (name == "CX") {
            sequence.operations.push_back(GateOp(GateType::CNOT, first, second));
        } else if (name == "DEPOLARIZING") {
            sequence.operations.push_back(NoiseOp(NoiseType::DEPOLARIZING, first, parameter));
        } else {
            sequence.operations.push_back(GateOp(gate_name_to_type.at(name), first, std::vector<double>{parameter}));
        }
    }
    SimConfig config;
    config.truncation_threshold = std::stod(words[3]);
    MatrixXcd start = MatrixXcd::Zero(Eigen::Index(1) << qubits, 1);
    start(0, 0) = 1;
    const auto begin = std::chrono::steady_clock::now();
    const MatrixXcd columns =
        std::string(words[2]) == "hybrid"
            ? modes::run_hybrid(start, sequence, qubits, 64, config)
            : run_simulation_optimized(start, sequence, qubits, 64, true, false, config.truncation_threshold);
    std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() << ' '
              << columns.cols() << '\n';
    std::ofstream out(words[4], std::ios::binary);
    out.write(reinterpret_cast<const char*>(columns.data()), std::streamsize(columns.size() * sizeof(Complex)));
    return in.eof() && out ? 0 : 1;
}
