// Trajectories: pure states that each stand for the shots that share a history of errors and outcomes.
//
// A channel divides a column's shots among its Kraus operators, by the exact probabilities in that state; a column is
// made only for an operator that some shot takes. So each shot is exact in distribution, and shots without an error are
// simulated once.
#pragma once

#include "columns.h"
#include "factor.h"
#include "random.h"

namespace proxima {

// Trajectories as Python holds them, in either precision.
class AnyTrajectories {
public:
    virtual ~AnyTrajectories() = default;

    // More of them: shots from a factor's columns, by weight, with these classical bits.
    virtual void add(const AnyFactor& factor, uint64_t shots, const std::vector<uint8_t>& bits, Poll& poll) = 0;
    virtual void advance(const Plan& plan, size_t begin, Poll& poll) = 0;
    // The outcome goes to a classical bit, told wrong by chance: 1 for 0, or 0 for 1.
    virtual void measure(int qubit, int clbit, double one_for_zero, double zero_for_one, Poll& poll) = 0;
    // Takes some columns out.
    virtual std::unique_ptr<AnyTrajectories> split(const std::vector<uint8_t>& which, Poll& poll) = 0;
    virtual void absorb(const AnyTrajectories& other, Poll& poll) = 0;
    // For each shot, the basis state that measuring all qubits gives, and its column.
    virtual void samples(uint64_t* states, int64_t* columns, Poll& poll) = 0;

    virtual size_t count() const = 0;
    virtual int num_qubits() const = 0;
    size_t num_clbits() const { return size_t(num_clbits_); }
    uint64_t shots() const;
    const std::vector<std::vector<uint8_t>>& bits() const { return bits_; }
    double done() const { return done_; }

protected:
    AnyTrajectories(int num_clbits, uint64_t seed) : num_clbits_(num_clbits), random_(seed) {}

    int num_clbits_;
    Random random_;
    std::vector<uint64_t> shots_;             // of each column
    std::vector<std::vector<uint8_t>> bits_;  // of each column
    double done_ = 0;                         // the errors of the channels applied
};

template <typename T>
class Trajectories final : public AnyTrajectories, private Columns<T> {
public:
    // |0...0> for all shots; for none where there are none.
    Trajectories(int num_qubits, int num_clbits, int threads, uint64_t shots, uint64_t seed);

    void add(const AnyFactor& factor, uint64_t shots, const std::vector<uint8_t>& bits, Poll& poll) override;
    void advance(const Plan& plan, size_t begin, Poll& poll) override;
    void measure(int qubit, int clbit, double one_for_zero, double zero_for_one, Poll& poll) override;
    std::unique_ptr<AnyTrajectories> split(const std::vector<uint8_t>& which, Poll& poll) override;
    void absorb(const AnyTrajectories& other, Poll& poll) override;
    void samples(uint64_t* states, int64_t* columns, Poll& poll) override;
    size_t count() const override { return Columns<T>::count(); }
    int num_qubits() const override { return num_qubits_; }

private:
    using Columns<T>::num_qubits_;
    using Columns<T>::tiles_;
    using Columns<T>::threads_;
    using Columns<T>::weights_;
    using Columns<T>::scale_;

    void apply(const Channel& channel, Poll& poll);
    void take(const Trajectories& other, const std::vector<size_t>& which, Poll& poll);
    void drop_empty();
    void normalise();
};

}  // namespace proxima
