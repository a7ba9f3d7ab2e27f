// Gradients: back over a run, from the observable to |0...0>.
//
// A run makes L by linear steps, so f = tr(O L L^dagger) has the derivative 2 Re tr(Lambda^dagger dU L) by a parameter of a
// gate U, where Lambda is O L carried back through the steps that follow: through a unitary by its inverse; through a
// channel by Lambda_p <- sum_k K_k^dagger Lambda_c over the columns c that parent p became; through a truncation L W by
// Lambda <- Lambda W^dagger. L itself is carried back as well: inverses take gates and first operators off it, and the
// columns that a channel made are struck off. See docs/developer-guide/lowrank.md.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "factor.h"

namespace proxima {
namespace {

// The inverse, by Gauss-Jordan elimination; an empty matrix where its entries would pass 10.
Matrix inverse_of(Matrix a) {
    const int n = a.size;
    Matrix out = Matrix::identity(n);
    for (int column = 0; column < n; ++column) {
        int pivot = column;
        for (int row = column; row < n; ++row)
            if (std::abs(a(row, column)) > std::abs(a(pivot, column))) pivot = row;
        if (std::abs(a(pivot, column)) < 0.1) return {};
        for (int k = 0; k < n; ++k) {
            std::swap(a(pivot, k), a(column, k));
            std::swap(out(pivot, k), out(column, k));
        }
        const Complex scale = 1.0 / a(column, column);
        for (int k = 0; k < n; ++k) a(column, k) *= scale, out(column, k) *= scale;
        for (int row = 0; row < n; ++row) {
            const Complex factor = a(row, column);
            if (row == column || factor == 0.0) continue;
            for (int k = 0; k < n; ++k) a(row, k) -= factor * a(column, k), out(row, k) -= factor * out(column, k);
        }
    }
    for (const Complex& entry : out.at)
        if (!(std::abs(entry) < 10)) return {};
    return out;
}

}  // namespace

template <typename T>
std::vector<typename Factor<T>::Tile> Factor<T>::copies(const std::vector<Tile>& tiles) const {
    std::vector<Tile> out;
    for (const Tile& tile : tiles) {
        out.push_back(this->new_scratch(rows_));
        std::memcpy(out.back().get(), tile.get(), rows_ * ROW_BYTES);
    }
    return out;
}

template <typename T>
void Factor<T>::record() {
    tape_ = std::make_unique<Tape<Tile>>();
}

template <typename T>
void Factor<T>::record(const Channel& channel, const std::vector<Piece>& pieces) {
    const auto [scales, factor] = scaling_of(channel);
    Branching<Tile> made{rank(), pieces, factor, scales, {}, {}};
    if (!scales && (made.inverse = inverse_of(channel.kraus[0])).size == 0) {
        if (2 * bytes() > memory_) throw OutOfMemory(2 * bytes(), 0);
        made.before = copies(tiles_);
        memory_ -= bytes();  // the copy's
    }
    tape_->entries.emplace_back(std::move(made));
}

template <typename T>
struct Factor<T>::Adjoint {
    Factor& l;
    std::vector<std::vector<Tile>> lambdas;  // one for each observable
    double scale;                            // Lambda is this times what the tiles hold
    double trace;
    int num_parameters;
    Gradient out;

    using Tiles = std::vector<Tile>;
    static constexpr int L = LANES<T>;

    Adjoint(Factor& l, const std::vector<PauliTerms>& sums, int num_parameters, Poll& poll)
        : l(l), scale(l.scale_), trace(l.trace()), num_parameters(num_parameters) {
        out.slopes.resize(sums.size() * size_t(num_parameters));
        for (const PauliTerms& sum : sums) begin(sum, poll);
    }

    // Lambda = (O - f) L / tr: the derivative of tr(O rho) / tr(rho) is that of tr((O - f) rho) over the trace.
    void begin(const PauliTerms& sum, Poll& poll) {
        Tiles& lambda = lambdas.emplace_back(l.new_tiles(l.tiles_.size()));
        std::vector<double> parts(l.tiles_.size());
        parallel_for(l.threads_, lambda.size(), poll, [&](size_t t) {
            for (size_t k = 0; k < sum.x.size(); ++k) {
                l.kernels_.add_pauli(lambda[t].get(), l.tiles_[t].get(), l.rows_, sum.x[k], sum.z[k], sum.factors[k].real(),
                                     sum.factors[k].imag());
                poll();
            }
            double product[2] = {0, 0};
            l.kernels_.cross(l.tiles_[t].get(), lambda[t].get(), l.rows_, 0, nullptr, product);
            parts[t] = product[0];
        });
        const double value = l.scale_ * l.scale_ / trace * std::accumulate(parts.begin(), parts.end(), 0.0);
        out.values.push_back(value);
        parallel_for(l.threads_, lambda.size(), poll, [&](size_t t) {
            l.kernels_.add_pauli(lambda[t].get(), l.tiles_[t].get(), l.rows_, 0, 0, -value, 0);
        });
    }

    // Takes gates off, the last first, and adds up what their slopes contribute.
    void undo(const std::vector<Gate>& gates, Poll& poll) {
        struct Back {
            std::vector<T> matrix;
            size_t at;  // where its sums begin
        };
        std::vector<Back> backs;
        size_t numbers = 0;  // of one tile's sums
        for (const Gate& gate : gates) {
            backs.push_back({flat<T>(adjoint(gate.matrix), 1), numbers});
            if (!gate.slopes.empty()) numbers += 2 * gate.matrix.at.size() * lambdas.size();
        }
        std::vector<std::vector<double>> sums(l.tiles_.size(), std::vector<double>(numbers));
        parallel_for(l.threads_, l.tiles_.size(), poll, [&](size_t t) {
            for (size_t g = gates.size(); g-- > 0;) {
                const Gate& gate = gates[g];
                const size_t size = 2 * gate.matrix.at.size();
                for (size_t j = 0; j < lambdas.size() && !gate.slopes.empty(); ++j)
                    l.kernels_.cross(lambdas[j][t].get(), l.tiles_[t].get(), l.rows_, int(gate.qubits.size()),
                                     gate.qubits.data(), sums[t].data() + backs[g].at + j * size);
                multiply(l.tiles_[t], gate.qubits, backs[g].matrix);
                for (Tiles& lambda : lambdas) multiply(lambda[t], gate.qubits, backs[g].matrix);
                poll();
            }
        });
        // 2 Re <Lambda| dU U^dagger |L>, both as they are after the gate.
        const double factor = 2 * scale * l.scale_ / trace;
        for (size_t g = 0; g < gates.size(); ++g)
            for (const Slope& slope : gates[g].slopes) {
                const Matrix turned = slope.matrix * adjoint(gates[g].matrix);
                for (size_t j = 0; j < lambdas.size(); ++j) {
                    double total = 0;
                    for (const std::vector<double>& sum : sums) {
                        const double* at = sum.data() + backs[g].at + j * 2 * turned.at.size();
                        for (size_t e = 0; e < turned.at.size(); ++e)
                            total += turned.at[e].real() * at[2 * e] - turned.at[e].imag() * at[2 * e + 1];
                    }
                    out.slopes[j * size_t(num_parameters) + size_t(slope.parameter)] += factor * total;
                }
            }
    }

    void multiply(Tile& tile, const std::vector<int>& qubits, const std::vector<T>& matrix) {
        if (qubits.size() == 1) {
            l.kernels_.gate1(tile.get(), l.rows_, qubits[0], matrix.data());
        } else if (qubits.size() == 2) {
            l.kernels_.gate2(tile.get(), l.rows_, qubits[0], qubits[1], matrix.data());
        } else {
            const Tile scratch = l.new_scratch(size_t(1) << qubits.size());
            l.kernels_.gatek(tile.get(), l.rows_, int(qubits.size()), qubits.data(), matrix.data(), scratch.get());
        }
    }

    void undo(const Channel& channel, Branching<Tile>& made, Poll& poll) {
        for (Tiles& lambda : lambdas) gather(lambda, channel, made, poll);
        const size_t tiles = (made.parents + L - 1) / L;
        if (made.scales) {  // Lambda is divided by what L is, since the square of that is the operator's
            l.scale_ *= made.factor;
            scale /= made.factor;
        } else if (made.inverse.size) {
            const std::vector<T> inverse = flat<T>(made.inverse, 1);
            parallel_for(l.threads_, tiles, poll, [&](size_t t) { multiply(l.tiles_[t], channel.qubits, inverse); });
        } else {
            l.tiles_ = std::move(made.before);
        }
        l.tiles_.resize(tiles);
        l.weights_.resize(made.parents);
    }

    // Lambda_p <- sum_k K_k^dagger Lambda_c.
    void gather(Tiles& lambda, const Channel& channel, const Branching<Tile>& made, Poll& poll) {
        const int k = int(channel.qubits.size());
        const size_t shared = made.parents / L, tiles = (made.parents + L - 1) / L;
        Tile columns;  // the tile that holds both parents and what they became
        if (tiles > shared) {
            columns = l.new_scratch(l.rows_);
            std::memcpy(columns.get(), lambda[shared].get(), l.rows_ * ROW_BYTES);
            for (size_t part = 0; part < 2 * l.rows_; ++part)
                std::fill(lambda[shared].get() + part * L + made.parents % L, lambda[shared].get() + (part + 1) * L, T(0));
        }
        std::vector<std::vector<T>> matrices;
        for (const Matrix& kraus : channel.kraus) matrices.push_back(flat<T>(adjoint(kraus), made.factor));
        std::vector<size_t> first(tiles + 1, made.pieces.size());  // of each tile's pieces
        for (size_t i = made.pieces.size(); i-- > 0;) first[made.pieces[i].parent / L] = i;
        for (size_t t = tiles; t-- > 0;) first[t] = std::min(first[t], first[t + 1]);
        parallel_for(l.threads_, tiles, poll, [&](size_t t) {
            if (!made.scales) multiply(lambda[t], channel.qubits, matrices[0]);
            std::vector<T> scratch(size_t(2) << k);
            for (size_t i = first[t]; i < first[t + 1]; ++i) {
                const Piece& piece = made.pieces[i];
                const size_t from = made.parents + i;
                const Tile& tile = from / L == shared && columns ? columns : lambda[from / L];
                l.kernels_.fold(lambda[t].get(), int(piece.parent % L), tile.get(), int(from % L), 0, l.rows_ >> k, k,
                                channel.qubits.data(), matrices[size_t(piece.kraus)].data(), scratch.data());
                poll();
            }
        });
        lambda.resize(tiles);
    }

    void undo(Truncation<Tile>& done, Poll& poll) {
        for (Tiles& lambda : lambdas) {
            Tiles wider = l.new_tiles(done.before.size());
            std::vector<const T*> from;
            for (const Tile& tile : lambda) from.push_back(tile.get());
            parallel_for(l.threads_, wider.size(), poll, [&](size_t t) {
                const size_t count = lambda.size() * L;
                const Tile block = l.new_scratch(count);
                std::fill(block.get(), block.get() + count * 2 * L, T(0));
                for (size_t i = 0; i < done.re.size(); ++i)
                    for (size_t j = t * L; j < std::min(done.rank, (t + 1) * L); ++j) {
                        block[i * 2 * L + j % L] = T(done.re[i][j]);
                        block[i * 2 * L + L + j % L] = T(done.im[i][j]);
                    }
                l.kernels_.multiply(wider[t].get(), from.data(), int(from.size()), l.rows_, block.get());
            });
            lambda = std::move(wider);
        }
        l.tiles_ = std::move(done.before);
        l.weights_.resize(done.rank);
    }
};

template <typename T>
Gradient Factor<T>::gradient(const std::vector<PauliTerms>& sums, int num_parameters, Poll& poll) {
    if (!tape_ || tape_->plans.size() != 1) throw std::invalid_argument("a gradient takes one plan that was recorded");
    const Plan& plan = tape_->plans[0];
    for (const Step& step : plan.steps)
        for (const Gate& gate : step.gates)
            for (const Slope& slope : gate.slopes)
                if (slope.parameter >= num_parameters) throw std::invalid_argument("the plan depends on more parameters");
    auto& entries = tape_->entries;
    Adjoint back(*this, sums, num_parameters, poll);
    const auto widen = [&](size_t step) {
        while (!entries.empty()) {
            auto* done = std::get_if<Truncation<Tile>>(&entries.back());
            if (!done || done->step != step) return;
            back.undo(*done, poll);
            entries.pop_back();
        }
    };
    for (size_t step = plan.steps.size(); step-- > 0;) {
        const std::vector<Channel>& channels = plan.steps[step].channels;
        widen(step);
        for (auto channel = channels.rbegin(); channel != channels.rend(); ++channel) {
            back.undo(*channel, std::get<Branching<Tile>>(entries.back()), poll);
            entries.pop_back();
            widen(step);
        }
        back.undo(plan.steps[step].gates, poll);
    }
    tape_.reset();
    return std::move(back.out);
}

#define INSTANTIATE(T)                                                                                        \
    template std::vector<typename Factor<T>::Tile> Factor<T>::copies(const std::vector<typename Factor<T>::Tile>&) const; \
    template void Factor<T>::record();                                                                        \
    template void Factor<T>::record(const Channel&, const std::vector<Piece>&);                               \
    template Gradient Factor<T>::gradient(const std::vector<PauliTerms>&, int, Poll&);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace proxima
